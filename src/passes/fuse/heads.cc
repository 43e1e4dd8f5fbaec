#include "passes/fuse/heads.h"

#include <algorithm>
#include <cmath>

namespace ferry::passes {
namespace {

namespace op = ir::op;
using ir::Node;
using ir::Tensor;
using ir::Value;

constexpr size_t kPastKey = 4, kPastValue = 5;

// Keys or values of rank 4 behind a cache.
struct Cached {
  Value* past = nullptr;
  Value* now = nullptr;
};
Cached cached(Value* all) {
  const Node* concat = made_by(all, "Concat");
  const bool two = concat != nullptr && all->rank() == 4 && concat->inputs.size() == 2;
  if (!two) return {nullptr, all};
  const int64_t axis = concat->get("axis", int64_t{0});
  return axis == 2 || axis == -2 ? Cached{concat->inputs[0], concat->inputs[1]} : Cached{nullptr, all};
}

bool is_refined(const Node& node) {
  return node.input(6) != nullptr || node.get("softmax_precision", int64_t{0}) != 0 ||
         (node.outputs.size() > 3 && node.outputs[3] != nullptr);
}

Value* output(const Node& node, size_t index) {
  return index < node.outputs.size() ? node.outputs[index] : nullptr;
}

std::optional<int64_t> head_count(const Node& node, const Value* x, const char* attribute) {
  if (x->rank() == 3) return std::max<int64_t>(1, node.get(attribute, int64_t{0}));
  return (*x->shape)[1].constant();
}

// [B, heads, S, size] that is a transposed [B, S, heads, size]: the latter.
Value* heads_last(const Value* x) {
  const Node* transpose = made_by(x, "Transpose");
  if (transpose == nullptr || x->rank() != 4) return nullptr;
  const std::vector<int64_t> swapped = {0, 2, 1, 3};
  return transpose->get("perm", std::vector<int64_t>{}) == swapped ? transpose->inputs[0] : nullptr;
}

// [B, S, heads, size] that is a reshaped [B, S, heads * size]: the latter.
Value* merged(const Value* split) {
  const Node* reshape = made_by(split, "Reshape");
  if (reshape == nullptr) return nullptr;
  Value* whole = reshape->inputs[0];
  const bool same = whole->shape && whole->rank() == 3 && (*whole->shape)[0] == (*split->shape)[0] &&
                    (*whole->shape)[1] == (*split->shape)[1];
  return same ? whole : nullptr;
}

Tensor merge(const Tensor& split) {
  return op::reshape(split, {0, 0, -1});
}

}  // namespace

std::optional<AttentionParts> parts_of(Fusion& at, const Node& node) {
  AttentionParts out;
  for (const size_t i : {0u, 1u, 2u}) {
    if (!node.inputs[i]->shape || node.inputs[i]->rank() != node.inputs[0]->rank()) return std::nullopt;
  }
  if (is_refined(node)) return std::nullopt;
  Cached key{node.input(kPastKey), node.inputs[1]}, value{node.input(kPastValue), node.inputs[2]};
  out.present_key = output(node, 1);
  out.present_value = output(node, 2);
  if (key.past == nullptr && out.present_key == nullptr && out.present_value == nullptr) {
    const Cached k = cached(key.now), v = cached(value.now);
    if (k.past != nullptr && v.past != nullptr) {
      out.present_key = key.now;
      out.present_value = value.now;
      key = k;
      value = v;
    }
  }
  if (key.past == nullptr && out.present_key != nullptr) return std::nullopt;
  out.past_key = key.past;
  out.past_value = value.past;
  out.query = at.tensor(node.inputs[0]);
  out.key = at.tensor(key.now);
  out.value = at.tensor(value.now);
  const auto heads = head_count(node, node.inputs[0], "q_num_heads");
  const auto kv_heads = head_count(node, node.inputs[1], "kv_num_heads");
  const auto width = out.query.dim(-1).constant(), value_width = out.value.dim(-1).constant();
  if (!heads || !kv_heads || !width || !value_width) return std::nullopt;
  out.heads = *heads;
  out.kv_heads = *kv_heads;
  out.size = out.flat() ? *width / out.heads : *width;
  out.value_size = out.flat() ? *value_width / out.kv_heads : *value_width;
  out.scale = node.get("scale", 1.0f / std::sqrt(static_cast<float>(out.size)));
  out.softcap = node.get("softcap", 0.0f);
  return out;
}

Tensor flat_heads(Fusion& at, const Tensor& x, int64_t heads) {
  if (x.rank() == 3) return x;
  Value* value = x.value();
  if (Value* split = heads_last(value)) {
    Value* whole = merged(split);
    return whole != nullptr ? at.tensor(whole) : merge(at.tensor(split));
  }
  if (const Node* norm = made_by(value, "RMSNormalization");
      norm != nullptr && norm->get("axis", int64_t{-1}) == -1) {
    const Tensor inner = flat_heads(at, at.tensor(norm->inputs[0]), heads);
    const Tensor split = op::reshape(inner, {0, 0, heads, *x.dim(-1).constant()});
    return merge(op::emit("RMSNormalization", {split, at.tensor(norm->inputs[1])}, norm->attributes));
  }
  if (const Node* rotary = made_by(value, "RotaryEmbedding")) {
    std::vector<Tensor> inputs = {flat_heads(at, at.tensor(rotary->inputs[0]), heads)};
    for (size_t i = 1; i < rotary->inputs.size(); ++i) inputs.push_back(at.tensor(rotary->inputs[i]));
    ir::Attributes attributes = rotary->attributes;
    attributes["num_heads"] = heads;
    return op::emit("RotaryEmbedding", inputs, std::move(attributes));
  }
  return merge(op::transpose(x, {0, 2, 1, 3}));
}

std::optional<Projection> projection_of(const Fusion& at, Value* value) {
  if (!at.used_once(value)) return std::nullopt;
  const Biased biased = without_bias(at, value);
  const Node* matmul = made_by(biased.x, "MatMul");
  const bool constant = matmul != nullptr && at.used_once(biased.x) && matmul->inputs[1]->is_weight() &&
                        matmul->inputs[1]->rank() == 2;
  if (!constant) return std::nullopt;
  return Projection{matmul->inputs[0], matmul->inputs[1], biased.bias};
}

namespace {

// The three results of one Split along the last axis, in order.
Value* split_source(const std::vector<Tensor>& parts) {
  const Node* split = made_by(parts[0].value(), "Split");
  if (split == nullptr || split->outputs.size() != parts.size()) return nullptr;
  const int64_t axis = split->get("axis", int64_t{0});
  if (axis != -1 && axis != static_cast<int64_t>(parts[0].rank()) - 1) return nullptr;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (split->outputs[i] != parts[i].value()) return nullptr;
  }
  return split->inputs[0];
}

Weight joined_biases(const std::vector<Projection>& projections) {
  std::vector<Weight> biases;
  for (const Projection& p : projections) {
    const Dims dims = {p.weight->weight->dims()[1]};
    biases.push_back(p.bias != nullptr ? *p.bias->weight : Weight::zeros(p.weight->dtype, dims));
  }
  return Weight::concat(biases, 0);
}

bool any_bias(const std::vector<Projection>& projections) {
  return std::any_of(projections.begin(), projections.end(),
                     [](const Projection& p) { return p.bias != nullptr; });
}

// "model.layers.0.self_attn.q_proj.weight" -> "model.layers.0.self_attn.qkv_proj".
std::string joined_name(const Value* weight) {
  const std::string& name = weight->name;
  const size_t last = name.rfind('.');
  const size_t before = last == std::string::npos || last == 0 ? last : name.rfind('.', last - 1);
  return before == std::string::npos ? "qkv_proj" : name.substr(0, before) + ".qkv_proj";
}

std::vector<Projection> projections_of(const Fusion& at, const std::vector<Tensor>& parts) {
  std::vector<Projection> out;
  for (const Tensor& part : parts) {
    const auto projection = projection_of(at, part.value());
    if (!projection) return {};
    out.push_back(*projection);
  }
  return out;
}

}  // namespace

Tensor packed(Fusion& at, const std::vector<Tensor>& parts) {
  if (Value* source = split_source(parts)) return at.tensor(source);
  const auto projections = projections_of(at, parts);
  if (projections.empty() || !at.options.packed_qkv) return {};
  std::vector<Weight> weights;
  for (const Projection& p : projections) {
    if (p.x != projections[0].x || p.weight->dtype != projections[0].weight->dtype) return {};
    weights.push_back(*p.weight->weight);
  }
  const std::string name = joined_name(projections[0].weight);
  const Tensor weight = op::weight(at.graph, name + ".weight", Weight::concat(weights, 1));
  const Tensor y = op::matmul(at.tensor(projections[0].x), weight);
  if (!any_bias(projections)) return y;
  return op::add(y, op::weight(at.graph, name + ".bias", joined_biases(projections)));
}

std::optional<Unbiased> without_biases(Fusion& at, const std::vector<Tensor>& parts) {
  const auto projections = projections_of(at, parts);
  if (projections.empty() || !any_bias(projections)) return std::nullopt;
  Unbiased out;
  for (const Tensor& part : parts) out.parts.push_back(at.tensor(without_bias(at, part.value()).x));
  out.bias = op::weight(at.graph, joined_name(projections[0].weight) + ".bias", joined_biases(projections));
  return out;
}

}  // namespace ferry::passes
