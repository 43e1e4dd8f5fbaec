#include "passes/fuse/rotary.h"

#include <fmt/format.h>

#include <cmath>

namespace ferry::passes {
namespace {

namespace op = ir::op;
using ir::Node;
using ir::Value;

// factor * function(position * frequency), as a definition computes it.
struct Angles {
  Value* positions = nullptr;
  const Value* frequencies = nullptr;
  float factor = 1;
};

std::optional<Angles> angles_of(const Value* value, std::string_view function) {
  Angles out;
  if (const Node* cast = made_by(value, "Cast")) value = cast->inputs[0];
  if (const Node* scaled = made_by(value, "Mul")) {
    const auto factor = constant_number(scaled->inputs[1]);
    if (!factor) return std::nullopt;
    out.factor = static_cast<float>(*factor);
    value = scaled->inputs[0];
  }
  const Node* turned = made_by(value, function);
  const Node* angles = turned != nullptr ? made_by(turned->inputs[0], "Mul") : nullptr;
  const Node* cast = angles != nullptr ? made_by(angles->inputs[0], "Cast") : nullptr;
  const Node* column = cast != nullptr ? made_by(cast->inputs[0], "Unsqueeze") : nullptr;
  if (column == nullptr || constant_integers(column->input(1)) != std::vector<int64_t>{2})
    return std::nullopt;
  out.positions = column->inputs[0];
  out.frequencies = angles->inputs[1];
  const bool known = out.frequencies->is_weight() && out.frequencies->rank() == 1 &&
                     out.frequencies->dtype == DType::f32 && out.positions->rank() == 2 &&
                     out.positions->dtype == DType::i64;
  return known ? std::optional(out) : std::nullopt;
}

Weight table(const Angles& angles, bool cosines, int64_t positions, DType dtype) {
  const auto frequencies = angles.frequencies->weight->as_f32();
  const auto half = static_cast<int64_t>(frequencies.size());
  std::string identity = fmt::format("{} of {} {:a}", cosines ? "cosines" : "sines",
                                     angles.frequencies->weight->key(), angles.factor);
  const auto read = [frequencies, cosines, factor = angles.factor](uint64_t first, uint64_t count,
                                                                   std::byte* out) {
    auto* to = reinterpret_cast<float*>(out);
    for (uint64_t i = first; i < first + count; ++i) {
      const float angle = static_cast<float>(i / frequencies.size()) * frequencies[i % frequencies.size()];
      *to++ = (cosines ? std::cos(angle) : std::sin(angle)) * factor;
    }
  };
  return Weight::computed(DType::f32, {positions, half}, std::move(identity), read).cast(dtype);
}

// RotaryEmbedding of ONNX with cosines and sines computed for these positions -> com.microsoft's, with
// tables.
bool by_table(Fusion& at, Node& node) {
  const Value* x = node.inputs[0];
  const auto rotation = rotation_of(at, node);
  if (!rotation || !x->shape || x->rank() < 3) return false;
  ir::Attributes attributes;
  if (node.get("interleaved", int64_t{0}) != 0) attributes["interleaved"] = int64_t{1};
  const int64_t half = rotation->cosines.dims()[1];
  const int64_t heads =
      x->rank() == 4 ? (*x->shape)[1].constant().value_or(0) : node.get("num_heads", int64_t{0});
  // ONNX Runtime takes the size of a head from the tables, unless told that only a part is turned.
  const bool whole = (*x->shape)[x->rank() - 1] == ir::Dim(x->rank() == 4 ? 2 * half : 2 * half * heads);
  if (!whole) {
    if (heads == 0) return false;
    attributes["num_heads"] = heads;
    attributes["rotary_embedding_dim"] = 2 * half;
  }
  const ir::Tensor made = op::emit("RotaryEmbedding",
                                   {at.tensor(node.inputs[0]), at.tensor(rotation->positions),
                                    op::weight(at.graph, "cos_cache", rotation->cosines),
                                    op::weight(at.graph, "sin_cache", rotation->sines)},
                                   std::move(attributes), ir::kMicrosoftDomain);
  at.replace(node.outputs[0], made);
  return true;
}

constexpr FuseRule kRules[] = {
    {"RotaryEmbedding", by_table, &FuseOptions::rotary_embeddings},
};

}  // namespace

std::optional<Rotation> rotation_of(const Fusion& at, const Node& rotary) {
  if (at.options.max_positions <= 0 || rotary.input(3) != nullptr) return std::nullopt;
  const auto cosines = angles_of(rotary.input(1), "Cos");
  const auto sines = angles_of(rotary.input(2), "Sin");
  const bool same = cosines && sines && cosines->positions == sines->positions &&
                    cosines->frequencies == sines->frequencies && cosines->factor == sines->factor;
  if (!same) return std::nullopt;
  const DType dtype = rotary.inputs[0]->dtype;
  return Rotation{cosines->positions, table(*cosines, true, at.options.max_positions, dtype),
                  table(*sines, false, at.options.max_positions, dtype)};
}

std::span<const FuseRule> rotary_fusions() {
  return kRules;
}

}  // namespace ferry::passes
