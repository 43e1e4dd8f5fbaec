#pragma once
// What the rules of the raise pass look at values with.
#include <array>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/op.h"

namespace ferry::passes {

using ir::Node;
using ir::Tensor;
using ir::Value;

/// The node that makes `value` if it is an `op_type` of ONNX's own, else nullptr.
const Node* made_by(const Value* value, std::string_view op_type);

/// The only number of a constant, else nothing.
std::optional<double> number(const Value* value);
/// Whether it is `wanted`, up to what half precision loses.
bool is_number(const Value* value, double wanted);
bool is_close(double a, double b);

/// `value` without the numbers that it is multiplied with and divided by, and their product.
struct Scaled {
  Value* tensor = nullptr;
  double factor = 1;
};
Scaled scaled(Value* value);

/// Both inputs of a two-sided operator, in either order: calls `match(a, b)` and `match(b, a)` until one
/// gives something that converts to true.
template <typename Match>
auto either(const Node& node, Match match) -> decltype(match(node.inputs[0], node.inputs[1])) {
  if (auto found = match(node.inputs[0], node.inputs[1])) return found;
  return match(node.inputs[1], node.inputs[0]);
}

/// Coefficients of x^0 ... x^3.
using Polynomial = std::array<double, 4>;
/// `value` as a polynomial of `x`, or nothing.
std::optional<Polynomial> polynomial(const Value* value, const Value* x);
bool is_close(const Polynomial& a, const Polynomial& b);

/// c if `value` is c * a * b, whatever the order of the products.
std::optional<double> product_of(const Value* value, const Value* a, const Value* b);

/// All of a constant integer input of `node`, or nothing.
std::optional<std::vector<int64_t>> integers(const Node& node, size_t input);
/// Whether `node` works along the last axis of its input 0 alone and keeps it: its axes are {-1} or rank - 1.
bool along_last_axis(const Node& node);
bool has_permutation(const Node& node, std::initializer_list<int64_t> perm);
std::optional<int64_t> constant_dim(const Value* value, int axis);
/// Whether two known dimensions of known shapes are equal.
bool same_dim(const Value* a, int axis_a, const Value* b, int axis_b);
/// Whether the value is known to be of `rank`.
bool has_rank(const Value* value, size_t rank);

/// The last node of a form. A rule returns what takes the place of its first result, made of new nodes that
/// stand before it, or nothing.
struct RaiseSite {
  ir::Graph& graph;
  const Node& node;

  [[nodiscard]] Tensor tensor(Value* value) const { return {graph, value}; }
};
struct RaiseRule {
  std::string_view op_type;
  Tensor (*apply)(const RaiseSite&);
};
std::span<const RaiseRule> raise_normalization_rules();
std::span<const RaiseRule> raise_activation_rules();
std::span<const RaiseRule> raise_attention_rules();
std::span<const RaiseRule> raise_rotary_rules();

}  // namespace ferry::passes
