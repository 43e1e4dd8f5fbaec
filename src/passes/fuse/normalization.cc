// Normalizations of a sum, and root mean square normalization.
#include "passes/fuse/fusion.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;
using ir::Node;
using ir::Value;

// Over the last dimension, with nothing wanted but the result.
bool is_plain(const Node& node) {
  const Value* x = node.inputs[0];
  if (!x->shape || x->rank() == 0 || !is_vector_for(node.input(1), x)) return false;
  if (node.input(2) != nullptr && !is_vector_for(node.input(2), x)) return false;
  const int64_t axis = node.get("axis", int64_t{-1});
  const bool last = axis == -1 || axis == static_cast<int64_t>(x->rank()) - 1;
  return last && node.outputs.size() == 1;
}

// norm(x + skip), and norm((x + bias) + skip): the sum is a second result, where others use it.
bool skip(Fusion& at, Node& norm) {
  const bool rms = norm.is("RMSNormalization");
  Value* sum = norm.inputs[0];
  const Node* add = made_by(sum, "Add");
  if (add == nullptr || sum->rank() != 3 || !is_plain(norm)) return false;
  Value* x = add->inputs[0];
  Value* other = add->inputs[1];
  if (!alike(x, sum) || !alike(other, sum)) return false;
  Biased biased{x, nullptr};
  if (at.options.bias_skip_layer_norm) {
    biased = without_bias(at, x);
    if (biased.bias == nullptr) {
      biased = without_bias(at, other);
      if (biased.bias != nullptr) other = x;
      if (biased.bias == nullptr) biased.x = x;
    }
  }
  std::vector<ir::Tensor> inputs = {at.tensor(biased.x), at.tensor(other), at.tensor(norm.inputs[1])};
  if (!rms) inputs.push_back(at.tensor(norm.input(2)));
  inputs.push_back(at.tensor(biased.bias));
  // The sum is there from here on for whoever uses it.
  at.place_before(*add);
  const bool shared = !at.used_once(sum);
  const auto made =
      op::emit_n(rms ? "SkipSimplifiedLayerNormalization" : "SkipLayerNormalization", inputs,
                 {{"epsilon", norm.get("epsilon", 1e-5f)}}, shared ? 4 : 1, ir::kMicrosoftDomain);
  at.replace(norm.outputs[0], made[0]);
  if (!shared) return true;
  Node& fused = *made[0].value()->producer;
  for (const size_t unasked : {1u, 2u}) {  // Mean and deviation.
    fused.outputs[unasked]->producer = nullptr;
    fused.outputs[unasked] = nullptr;
  }
  at.replace(sum, made[3]);
  return true;
}

// ONNX Runtime has it under this name in ONNX's own domain.
bool simplified(Fusion& at, Node& norm) {
  if (!is_plain(norm)) return false;
  const ir::Tensor made = op::emit_n(
      "SimplifiedLayerNormalization", {at.tensor(norm.inputs[0]), at.tensor(norm.inputs[1])},
      {{"axis", int64_t{-1}}, {"epsilon", norm.get("epsilon", 1e-5f)}, {"stash_type", int64_t{1}}}, 1)[0];
  at.replace(norm.outputs[0], made);
  return true;
}

constexpr FuseRule kRules[] = {
    {"LayerNormalization", skip, &FuseOptions::skip_layer_norm},
    {"RMSNormalization", skip, &FuseOptions::skip_layer_norm},
    {"RMSNormalization", simplified, &FuseOptions::layer_norm},
};

}  // namespace

std::span<const FuseRule> normalization_fusions() {
  return kRules;
}

}  // namespace ferry::passes
