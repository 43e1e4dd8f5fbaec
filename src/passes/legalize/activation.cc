// Activations that ONNX named late, as the products they are.
#include <cmath>
#include <numbers>

#include "passes/legalize/lowering.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

// erf:  x / 2 (1 + erf(x / sqrt 2));  tanh:  x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
// Written in the order that ONNX Runtime's own fusions look for.
Tensors gelu(const Lowering& at) {
  const Tensor x = at.input(0);
  if (at.node.get("approximate", std::string("none")) == "tanh") {
    const Tensor cubed = op::mul(op::pow(x, 3.0), 0.044715);
    const Tensor inner = op::mul(op::add(x, cubed), std::sqrt(2.0 / std::numbers::pi));
    return {op::mul(op::mul(x, 0.5), op::add(op::unary("Tanh", inner), 1.0))};
  }
  const Tensor erf = op::unary("Erf", op::div(x, std::numbers::sqrt2));
  return {op::mul(op::mul(x, op::add(erf, 1.0)), 0.5)};
}

// x sigmoid(alpha x)
Tensors swish(const Lowering& at) {
  const Tensor x = at.input(0);
  const float alpha = at.node.get("alpha", 1.0f);
  return {op::mul(x, op::unary("Sigmoid", alpha == 1.0f ? x : op::mul(x, alpha)))};
}

// x tanh(softplus(x))
Tensors mish(const Lowering& at) {
  const Tensor x = at.input(0);
  return {op::mul(x, op::unary("Tanh", op::unary("Softplus", x)))};
}

// x max(0, min(1, x / 6 + 1 / 2))
Tensors hard_swish(const Lowering& at) {
  const Tensor x = at.input(0);
  const Tensor gate = op::emit("HardSigmoid", {x}, {{"alpha", 1.0f / 6.0f}, {"beta", 0.5f}});
  return {op::mul(x, gate)};
}

// Relu of whole numbers.
Tensors relu(const Lowering& at) {
  const Tensor x = at.input(0);
  const Tensor zero = op::weight(at.graph, "zero", Weight::zeros(x.dtype(), {}));
  return {op::emit("Max", {x, zero})};
}

bool is_integer_input(const Lowering& at) {
  return at.has_input(0) && is_integer(at.node.input(0)->dtype);
}

constexpr Rule kRules[] = {
    {"Gelu", 20, gelu},
    {"Swish", 24, swish},
    {"Mish", 18, mish},
    {"HardSwish", 14, hard_swish},
    {"Relu", 14, relu, is_integer_input},
};

}  // namespace

std::span<const Rule> activation_rules() {
  return kRules;
}

}  // namespace ferry::passes
