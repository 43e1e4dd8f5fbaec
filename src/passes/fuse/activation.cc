// Gelu in its forms, and Swish. ONNX Runtime's CPU provider has them in f32.
#include "passes/fuse/fusion.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

bool gelu(Fusion& at, ir::Node& node) {
  ir::Value* x = node.inputs[0];
  if (x->dtype != DType::f32 || !x->shape) return false;
  const bool tanh = node.get("approximate", std::string("none")) == "tanh" || at.options.gelu_approximation;
  Biased biased{x, nullptr};
  if (at.options.bias_gelu) biased = without_bias(at, x);
  std::vector<ir::Tensor> inputs = {at.tensor(biased.x)};
  if (biased.bias != nullptr) inputs.push_back(at.tensor(biased.bias));
  const char* fused = tanh ? "FastGelu" : biased.bias != nullptr ? "BiasGelu" : "Gelu";
  at.replace(node.outputs[0], op::emit(fused, inputs, {}, ir::kMicrosoftDomain));
  return true;
}

bool swish(Fusion& at, ir::Node& node) {
  if (node.inputs[0]->dtype != DType::f32) return false;
  const ir::Attributes attributes = {{"alpha", node.get("alpha", 1.0f)}};
  at.replace(node.outputs[0],
             op::emit("QuickGelu", {at.tensor(node.inputs[0])}, attributes, ir::kMicrosoftDomain));
  return true;
}

constexpr FuseRule kRules[] = {
    {"Gelu", gelu, &FuseOptions::gelu},
    {"Swish", swish, &FuseOptions::gelu},
};

}  // namespace

std::span<const FuseRule> activation_fusions() {
  return kRules;
}

}  // namespace ferry::passes
