// Rotary embeddings:  x cos + turned(x) sin, where turned(x) = (-x2, x1) of the halves of x.
#include <algorithm>

#include "passes/raise/matcher.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

// Elements [begin, end) of the last axis of `of`.
struct Piece {
  Value* of = nullptr;
  int64_t begin = 0, end = 0;
};

Piece slice_piece(const Node& slice) {
  const auto starts = integers(slice, 1), ends = integers(slice, 2), axes = integers(slice, 3);
  const auto width = constant_dim(slice.input(0), -1);
  const bool one =
      starts && ends && axes && starts->size() == 1 && ends->size() == 1 && axes->size() == 1 && width;
  if (!one) return {};
  const auto rank = static_cast<int64_t>(slice.inputs[0]->rank());
  const bool last = (*axes)[0] == -1 || (*axes)[0] == rank - 1;
  if (!last || (slice.input(4) != nullptr && !is_number(slice.input(4), 1))) return {};
  const auto place = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + *width : at, 0, *width); };
  return {slice.inputs[0], place((*starts)[0]), place((*ends)[0])};
}

Piece split_piece(const Node& split, const Value* value) {
  const auto rank = static_cast<int64_t>(split.input(0) != nullptr ? split.inputs[0]->rank() : 0);
  const int64_t axis = split.get("axis", int64_t{0});
  if (axis != -1 && axis != rank - 1) return {};
  int64_t begin = 0;
  for (const Value* output : split.outputs) {
    const auto width = constant_dim(output, -1);
    if (!width) return {};
    if (output == value) return {split.inputs[0], begin, begin + *width};
    begin += *width;
  }
  return {};
}

Piece piece_of(const Value* value) {
  if (const Node* slice = made_by(value, "Slice")) return slice_piece(*slice);
  if (const Node* split = made_by(value, "Split")) return split_piece(*split, value);
  return {};
}

bool along_last(const Node& concat) {
  const int64_t axis = concat.get("axis", int64_t{0});
  const Value* result = concat.outputs[0];
  return concat.inputs.size() == 2 &&
         (axis == -1 || (result->shape && axis == static_cast<int64_t>(result->rank()) - 1));
}

// x if `value` is (-x2, x1).
Value* turned_of(const Value* value) {
  const Node* concat = made_by(value, "Concat");
  if (concat == nullptr || !along_last(*concat)) return nullptr;
  const Node* neg = made_by(concat->inputs[0], "Neg");
  if (neg == nullptr) return nullptr;
  const Piece second = piece_of(neg->input(0)), first = piece_of(concat->inputs[1]);
  const auto width = constant_dim(second.of, -1);
  const bool halves = first.of != nullptr && first.of == second.of && width && first.begin == 0 &&
                      first.end * 2 == *width && second.begin == first.end && second.end == *width;
  return halves ? first.of : nullptr;
}

// The first half of a value whose last axis holds everything twice: Concat(f, f), and what works element by
// element on such.
Tensor half_of(const RaiseSite& at, Value* value, int depth = 0) {
  constexpr int kDeepest = 8;
  if (value == nullptr || value->producer == nullptr || depth > kDeepest) return {};
  const Node& node = *value->producer;
  if (node.is("Concat")) {
    const bool twice = along_last(node) && node.inputs[0] == node.inputs[1];
    return twice ? at.tensor(node.inputs[0]) : Tensor();
  }
  if (node.is("Cos") || node.is("Sin") || node.is("Cast") || node.is("Neg")) {
    const Tensor inner = half_of(at, node.input(0), depth + 1);
    return inner ? op::emit(node.op_type, {inner}, node.attributes) : Tensor();
  }
  const auto by = node.is("Mul") ? number(node.input(1)) : std::nullopt;
  const Tensor inner = by ? half_of(at, node.input(0), depth + 1) : Tensor();
  return inner ? op::mul(inner, at.tensor(node.inputs[1])) : Tensor();
}

// Half of [B, S, size] under the axis of the heads.
Tensor half_table(const RaiseSite& at, Value* value, const Value* x) {
  const Node* unsqueeze = made_by(value, "Unsqueeze");
  if (unsqueeze == nullptr || integers(*unsqueeze, 1) != std::vector<int64_t>{1}) return {};
  Value* table = unsqueeze->inputs[0];
  if (!has_rank(table, 3) || !same_dim(table, 0, x, 0) || !same_dim(table, 1, x, 2) ||
      !same_dim(table, 2, x, 3))
    return {};
  return half_of(at, table);
}

Tensor rotary(const RaiseSite& at) {
  return either(at.node, [&](Value* straight, Value* across) -> Tensor {
    const Node* by_cos = made_by(straight, "Mul");
    const Node* by_sin = made_by(across, "Mul");
    if (by_cos == nullptr || by_sin == nullptr) return {};
    return either(*by_sin, [&](Value* turned, Value* sin) -> Tensor {
      Value* x = turned_of(turned);
      if (!has_rank(x, 4)) return {};
      Value* cos = by_cos->inputs[0] == x   ? by_cos->inputs[1]
                   : by_cos->inputs[1] == x ? by_cos->inputs[0]
                                            : nullptr;
      const Tensor half_cos = half_table(at, cos, x);
      const Tensor half_sin = half_cos ? half_table(at, sin, x) : Tensor();
      if (!half_sin || half_cos.dtype() != x->dtype || half_sin.dtype() != x->dtype) return {};
      return op::emit("RotaryEmbedding", {at.tensor(x), half_cos, half_sin});
    });
  });
}

// Only the first elements of each head turn.
Tensor partial_rotary(const RaiseSite& at) {
  if (!along_last(at.node)) return {};
  const Node* turned = made_by(at.node.inputs[0], "RotaryEmbedding");
  if (turned == nullptr || turned->inputs.size() != 3 || turned->attributes.count("rotary_embedding_dim") > 0)
    return {};
  const Piece first = piece_of(turned->inputs[0]), rest = piece_of(at.node.inputs[1]);
  const auto width = constant_dim(first.of, -1);
  const bool whole = first.of != nullptr && first.of == rest.of && width && first.begin == 0 &&
                     first.end == rest.begin && rest.end == *width && has_rank(first.of, 4);
  if (!whole) return {};
  ir::Attributes attributes = turned->attributes;
  attributes["rotary_embedding_dim"] = first.end;
  return op::emit("RotaryEmbedding",
                  {at.tensor(first.of), at.tensor(turned->inputs[1]), at.tensor(turned->inputs[2])},
                  std::move(attributes));
}

constexpr RaiseRule kRules[] = {
    {"Add", rotary},
    {"Concat", partial_rotary},
};

}  // namespace

std::span<const RaiseRule> raise_rotary_rules() {
  return kRules;
}

}  // namespace ferry::passes
