// Activations that are x times a gate, c x g(p(x)): the gate's function and the polynomial p say which.
#include <cmath>
#include <numbers>

#include "passes/raise/matcher.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

// Every value of a product, the product itself apart.
void collect_factors(Value* value, std::vector<Value*>& out, int depth = 0) {
  const Node* node = made_by(value, "Mul");
  if (node == nullptr) node = made_by(value, "Div");
  constexpr int kDeepest = 4;
  constexpr size_t kMost = 16;
  if (node == nullptr || depth > kDeepest || out.size() > kMost) return;
  for (Value* input : node->inputs) {
    if (input == nullptr || number(input)) continue;
    out.push_back(input);
    collect_factors(input, out, depth + 1);
  }
}

struct Gate {
  Value* value = nullptr;  // The factor.
  const Node* function = nullptr;
};

// function(...) + 1, or function(...) itself.
Gate gate_of(Value* value, std::string_view function, bool plus_one) {
  if (!plus_one) return {value, made_by(value, function)};
  const Node* add = made_by(value, "Add");
  if (add == nullptr) return {value, nullptr};
  return {value, either(*add, [&](Value* inner, Value* one) -> const Node* {
            return is_number(one, 1) ? made_by(inner, function) : nullptr;
          })};
}

// x of c x gate(p(x)), where p has the given form (and, if `alpha` is asked for, any coefficient).
struct Gated {
  Value* x = nullptr;
  double alpha = 1;
};
using Accepts = bool (*)(const Polynomial&);

Gated gated(const RaiseSite& at, std::string_view function, bool plus_one, double factor, Accepts accepts) {
  Value* result = at.node.outputs[0];
  std::vector<Value*> factors;
  collect_factors(result, factors);
  for (Value* candidate : factors) {
    const Gate gate = gate_of(candidate, function, plus_one);
    if (gate.function == nullptr) continue;
    for (Value* x : factors) {
      if (x == candidate) continue;
      const auto inner = polynomial(gate.function->input(0), x);
      const auto found = inner && accepts(*inner) ? product_of(result, x, candidate) : std::nullopt;
      if (found && is_close(*found, factor)) return {x, (*inner)[1]};
    }
  }
  return {};
}

Tensor erf_gelu(const RaiseSite& at) {
  const auto form = [](const Polynomial& p) { return is_close(p, {0, 1 / std::numbers::sqrt2}); };
  const Gated found = gated(at, "Erf", true, 0.5, form);
  return found.x != nullptr ? op::unary("Gelu", at.tensor(found.x)) : Tensor();
}

Tensor tanh_gelu(const RaiseSite& at) {
  const auto form = [](const Polynomial& p) {
    const double root = std::sqrt(2 / std::numbers::pi);
    return is_close(p, {0, root, 0, root * 0.044715});
  };
  const Gated found = gated(at, "Tanh", true, 0.5, form);
  if (found.x == nullptr) return {};
  return op::emit("Gelu", {at.tensor(found.x)}, {{"approximate", std::string("tanh")}});
}

Tensor swish(const RaiseSite& at) {
  const auto form = [](const Polynomial& p) { return p[0] == 0 && p[1] != 0 && p[2] == 0 && p[3] == 0; };
  const Gated found = gated(at, "Sigmoid", false, 1, form);
  if (found.x == nullptr) return {};
  ir::Attributes attributes;
  if (found.alpha != 1) attributes["alpha"] = static_cast<float>(found.alpha);
  return op::emit("Swish", {at.tensor(found.x)}, std::move(attributes));
}

Tensor mish(const RaiseSite& at) {
  return either(at.node, [&](Value* x, Value* gate) -> Tensor {
    const Node* tanh = made_by(gate, "Tanh");
    const Node* softplus = tanh != nullptr ? made_by(tanh->input(0), "Softplus") : nullptr;
    if (softplus == nullptr || softplus->input(0) != x) return {};
    return op::unary("Mish", at.tensor(x));
  });
}

constexpr RaiseRule kRules[] = {
    {"Mul", erf_gelu}, {"Mul", tanh_gelu}, {"Div", erf_gelu}, {"Mul", swish}, {"Mul", mish},
};

}  // namespace

std::span<const RaiseRule> raise_activation_rules() {
  return kRules;
}

}  // namespace ferry::passes
