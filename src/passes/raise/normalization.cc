// Normalizations out of means and roots.
#include "passes/raise/matcher.h"

namespace ferry::passes {
namespace {

namespace op = ir::op;

// (x - mean(x)) / sqrt(variance + epsilon), or x / sqrt(mean(x^2) + epsilon), over the last axis.
struct Normal {
  Value* x = nullptr;
  double epsilon = 0;
  bool centered = false;
  explicit operator bool() const { return x != nullptr; }
};

// x if `value` is its mean over the last axis, which stays. tf2onnx says it so for rank 3, too.
Value* averaged(const Value* value) {
  if (const Node* reduce = made_by(value, "ReduceMean"))
    return along_last_axis(*reduce) ? reduce->input(0) : nullptr;
  const Node* pool = made_by(value, "GlobalAveragePool");
  return pool != nullptr && has_rank(pool->input(0), 3) ? pool->input(0) : nullptr;
}

// What is squared.
Value* square_root_of(const Value* square) {
  if (const Node* pow = made_by(square, "Pow")) return is_number(pow->input(1), 2) ? pow->input(0) : nullptr;
  const Node* mul = made_by(square, "Mul");
  return mul != nullptr && mul->input(0) == mul->input(1) ? mul->input(0) : nullptr;
}

// mean(root^2) + epsilon: `root` and epsilon.
Normal mean_square(const Value* sum) {
  const Node* add = made_by(sum, "Add");
  if (add == nullptr) return {};
  return either(*add, [](Value* mean, Value* epsilon) -> Normal {
    const Value* square = averaged(mean);
    const auto value = number(epsilon);
    if (square == nullptr || !value) return {};
    return {square_root_of(square), *value};
  });
}

// The same of 1 / sqrt(mean(root^2) + epsilon).
Normal reciprocal_root(const Value* value) {
  const Node* reciprocal = made_by(value, "Reciprocal");
  const Node* div = made_by(value, "Div");
  if (const Node* pow = made_by(value, "Pow"))
    return is_number(pow->input(1), -0.5) ? mean_square(pow->input(0)) : Normal{};
  const Value* root = reciprocal != nullptr                             ? reciprocal->input(0)
                      : div != nullptr && is_number(div->input(0), 1.0) ? div->input(1)
                                                                        : nullptr;
  const Node* sqrt = made_by(root, "Sqrt");
  return sqrt != nullptr ? mean_square(sqrt->input(0)) : Normal{};
}

// root / sqrt(mean(root^2) + epsilon)
Normal divided(const Value* value) {
  if (const Node* div = made_by(value, "Div")) {
    const Node* sqrt = made_by(div->input(1), "Sqrt");
    const Normal found = sqrt != nullptr ? mean_square(sqrt->input(0)) : Normal{};
    return found.x == div->input(0) ? found : Normal{};
  }
  const Node* mul = made_by(value, "Mul");
  if (mul == nullptr) return {};
  return either(*mul, [](Value* root, Value* reciprocal) -> Normal {
    const Normal found = reciprocal_root(reciprocal);
    return found.x == root ? found : Normal{};
  });
}

// x if `value` is x - mean(x).
Value* centered_of(const Value* value) {
  const Node* sub = made_by(value, "Sub");
  const bool matches = sub != nullptr && sub->input(0) != nullptr && averaged(sub->input(1)) == sub->input(0);
  return matches ? sub->inputs[0] : nullptr;
}

// Statistics that are taken in f32 leave casts at both ends.
Normal normalized(const Value* value) {
  const Node* narrowed = made_by(value, "Cast");
  Normal found = divided(narrowed != nullptr ? narrowed->input(0) : value);
  if (!found) return {};
  if (Value* x = centered_of(found.x)) found = {x, found.epsilon, true};
  if (narrowed == nullptr) return found;
  const Node* widened = made_by(found.x, "Cast");
  const bool matches = widened != nullptr && widened->input(0) != nullptr &&
                       widened->input(0)->dtype == value->dtype && found.x->dtype == DType::f32;
  return matches ? Normal{widened->input(0), found.epsilon, found.centered} : Normal{};
}

// One number for each element of the last axis of `x`.
bool is_parameter(const Value* value, const Value* x) {
  return has_rank(value, 1) && x->shape && x->rank() > 0 && value->dtype == x->dtype &&
         constant_dim(value, 0).has_value() && same_dim(value, 0, x, -1);
}

Tensor emit_normal(const RaiseSite& at, const Normal& found, Value* scale, Value* bias) {
  const Tensor x = at.tensor(found.x);
  const auto epsilon = static_cast<float>(found.epsilon);
  if (!found.centered) return op::rms_norm(x, at.tensor(scale), epsilon);
  return op::layer_norm(x, at.tensor(scale), bias != nullptr ? at.tensor(bias) : Tensor(), epsilon);
}

Tensor scaled_normal(const RaiseSite& at) {
  return either(at.node, [&](Value* normal, Value* scale) -> Tensor {
    const Normal found = normalized(normal);
    if (!found || scale == nullptr || !is_parameter(scale, found.x)) return {};
    return emit_normal(at, found, scale, nullptr);
  });
}

Tensor with_bias(const RaiseSite& at) {
  return either(at.node, [&](Value* normal, Value* bias) -> Tensor {
    const Node* node = made_by(normal, "LayerNormalization");
    const bool plain = node != nullptr && node->inputs.size() == 2 && node->outputs.size() == 1 &&
                       bias != nullptr && node->get("axis", int64_t{-1}) == -1 &&
                       is_parameter(bias, node->input(0));
    if (!plain) return {};
    return op::layer_norm(at.tensor(node->inputs[0]), at.tensor(node->inputs[1]), at.tensor(bias),
                          node->get("epsilon", 1e-5f));
  });
}

// TensorFlow's order: x inverse + (bias - mean inverse), where inverse = scale / sqrt(variance + epsilon).
struct Inverse {
  Normal normal;
  Value* scale = nullptr;
  explicit operator bool() const { return scale != nullptr; }
};
Inverse scaled_inverse(const Value* value) {
  const Node* mul = made_by(value, "Mul");
  if (mul == nullptr) return {};
  return either(*mul, [](Value* reciprocal, Value* scale) -> Inverse {
    const Normal found = reciprocal_root(reciprocal);
    return found ? Inverse{found, scale} : Inverse{};
  });
}

Tensor tensorflow_normal(const RaiseSite& at) {
  return either(at.node, [&](Value* product, Value* rest) -> Tensor {
    const Node* mul = made_by(product, "Mul");
    const Node* sub = made_by(rest, "Sub");
    if (mul == nullptr || sub == nullptr) return {};
    return either(*mul, [&](Value* x, Value* factor) -> Tensor {
      const Inverse inverse = scaled_inverse(factor);
      if (!inverse || x == nullptr || centered_of(inverse.normal.x) != x) return {};
      const Node* moved = made_by(sub->input(1), "Mul");
      const Node* centered = inverse.normal.x->producer;
      const bool same_mean = moved != nullptr && either(*moved, [&](Value* mean, Value* again) {
                               return again == factor && mean == centered->input(1);
                             });
      Value* bias = sub->input(0);
      if (!same_mean || bias == nullptr || !is_parameter(bias, x) || !is_parameter(inverse.scale, x))
        return {};
      return emit_normal(at, {x, inverse.normal.epsilon, true}, inverse.scale, bias);
    });
  });
}

constexpr RaiseRule kRules[] = {
    {"Mul", scaled_normal},
    {"Add", with_bias},
    {"Add", tensorflow_normal},
};

}  // namespace

std::span<const RaiseRule> raise_normalization_rules() {
  return kRules;
}

}  // namespace ferry::passes
