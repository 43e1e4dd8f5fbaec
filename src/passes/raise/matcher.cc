#include "passes/raise/matcher.h"

#include <algorithm>
#include <cmath>

namespace ferry::passes {
namespace {

// Of a polynomial's or product's expression: its depth, and the values looked at, of which a graph that
// squares and squares again has no end.
constexpr int kDeepest = 12;
constexpr int kMostValues = 64;

std::optional<Polynomial> times(const Polynomial& a, const Polynomial& b) {
  Polynomial out = {};
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) {
      const double term = a[i] * b[j];
      if (term == 0) continue;
      if (i + j >= out.size()) return std::nullopt;
      out[i + j] += term;
    }
  }
  return out;
}

Polynomial plus(const Polynomial& a, const Polynomial& b, double sign) {
  Polynomial out = a;
  for (size_t i = 0; i < out.size(); ++i) out[i] += sign * b[i];
  return out;
}

std::optional<Polynomial> polynomial(const Value* value, const Value* x, int depth, int& left);

std::optional<Polynomial> combination(const Node& node, const Value* x, int depth, int& left) {
  const auto a = polynomial(node.input(0), x, depth, left);
  if (!a) return std::nullopt;
  if (node.is("Pow")) {
    const auto exponent = number(node.input(1));
    if (!exponent || (*exponent != 2 && *exponent != 3)) return std::nullopt;
    const auto square = times(*a, *a);
    return !square || *exponent == 2 ? square : times(*square, *a);
  }
  const auto b = polynomial(node.input(1), x, depth, left);
  if (!b) return std::nullopt;
  if (node.is("Add")) return plus(*a, *b, 1);
  if (node.is("Sub")) return plus(*a, *b, -1);
  if (node.is("Mul")) return times(*a, *b);
  const bool by_number = (*b)[0] != 0 && (*b)[1] == 0 && (*b)[2] == 0 && (*b)[3] == 0;
  if (!node.is("Div") || !by_number) return std::nullopt;
  return times(*a, Polynomial{1 / (*b)[0]});
}

std::optional<Polynomial> polynomial(const Value* value, const Value* x, int depth, int& left) {
  if (value == nullptr || depth > kDeepest || --left < 0) return std::nullopt;
  if (value == x) return Polynomial{0, 1};
  if (const auto constant = number(value)) return Polynomial{*constant};
  const Node* node = value->producer;
  if (node == nullptr || !node->domain.empty() || node->inputs.size() != 2) return std::nullopt;
  return combination(*node, x, depth + 1, left);
}

// A product of numbers, a and b: how often each is in it.
struct Product {
  double factor = 1;
  int a = 0, b = 0;
};

std::optional<Product> product(const Value* value, const Value* a, const Value* b, int depth, int& left) {
  if (value == nullptr || depth > kDeepest || --left < 0) return std::nullopt;
  if (value == a) return Product{1, 1, 0};
  if (value == b) return Product{1, 0, 1};
  if (const auto constant = number(value)) return Product{*constant};
  if (const Node* node = made_by(value, "Mul")) {
    const auto x = product(node->input(0), a, b, depth + 1, left);
    const auto y = product(node->input(1), a, b, depth + 1, left);
    if (!x || !y) return std::nullopt;
    return Product{x->factor * y->factor, x->a + y->a, x->b + y->b};
  }
  if (const Node* node = made_by(value, "Div")) {
    const auto x = product(node->input(0), a, b, depth + 1, left);
    const auto y = number(node->input(1));
    if (!x || !y || *y == 0) return std::nullopt;
    return Product{x->factor / *y, x->a, x->b};
  }
  return std::nullopt;
}

}  // namespace

const Node* made_by(const Value* value, std::string_view op_type) {
  return value != nullptr && value->producer != nullptr && value->producer->is(op_type) ? value->producer
                                                                                        : nullptr;
}

std::optional<double> number(const Value* value) {
  if (value == nullptr || !value->is_weight() || value->weight->count() != 1) return std::nullopt;
  if (!is_floating(value->dtype) && !is_integer(value->dtype)) return std::nullopt;
  return value->weight->as_f32()[0];
}

bool is_close(double a, double b) {
  return std::abs(a - b) <= 1e-3 * std::abs(b);
}
bool is_number(const Value* value, double wanted) {
  const auto found = number(value);
  return found && is_close(*found, wanted);
}

Scaled scaled(Value* value) {
  Scaled out{value, 1};
  for (int depth = 0; depth < kDeepest; ++depth) {
    const Node* node = made_by(out.tensor, "Mul");
    const bool product = node != nullptr;
    if (!product) node = made_by(out.tensor, "Div");
    if (node == nullptr || node->inputs.size() != 2) return out;
    const auto right = number(node->inputs[1]);
    const auto left = product ? number(node->inputs[0]) : std::nullopt;
    Value* rest = right ? node->inputs[0] : node->inputs[1];
    const bool keeps_rank =
        rest != nullptr && rest->shape && out.tensor->shape && rest->rank() == out.tensor->rank();
    if ((!right && !left) || !keeps_rank || (!product && *right == 0)) return out;
    out.factor = product ? out.factor * (right ? *right : *left) : out.factor / *right;
    out.tensor = rest;
  }
  return out;
}

std::optional<Polynomial> polynomial(const Value* value, const Value* x) {
  int left = kMostValues;
  return polynomial(value, x, 0, left);
}

bool is_close(const Polynomial& a, const Polynomial& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (b[i] == 0 ? std::abs(a[i]) > 1e-7 : !is_close(a[i], b[i])) return false;
  }
  return true;
}

std::optional<double> product_of(const Value* value, const Value* a, const Value* b) {
  int left = kMostValues;
  const auto found = product(value, a, b, 0, left);
  if (!found || found->a != 1 || found->b != 1) return std::nullopt;
  return found->factor;
}

std::optional<std::vector<int64_t>> integers(const Node& node, size_t input) {
  const Value* value = node.input(input);
  constexpr uint64_t kMost = 64;
  if (value == nullptr || !value->is_weight() || !is_integer(value->dtype) || value->weight->count() > kMost)
    return std::nullopt;
  return value->weight->as_i64();
}

bool along_last_axis(const Node& node) {
  const auto axes = integers(node, 1);
  if (!axes || axes->size() != 1 || node.get("keepdims", int64_t{1}) == 0) return false;
  const Value* data = node.input(0);
  return (*axes)[0] == -1 ||
         (data != nullptr && data->shape && (*axes)[0] == static_cast<int64_t>(data->rank()) - 1);
}

bool has_permutation(const Node& node, std::initializer_list<int64_t> perm) {
  return node.get("perm", std::vector<int64_t>{}) == std::vector<int64_t>(perm);
}

bool has_rank(const Value* value, size_t rank) {
  return value != nullptr && value->shape && value->rank() == rank;
}

std::optional<int64_t> constant_dim(const Value* value, int axis) {
  if (value == nullptr || !value->shape) return std::nullopt;
  const int at = axis < 0 ? axis + static_cast<int>(value->rank()) : axis;
  if (at < 0 || at >= static_cast<int>(value->rank())) return std::nullopt;
  return (*value->shape)[static_cast<size_t>(at)].constant();
}

bool same_dim(const Value* a, int axis_a, const Value* b, int axis_b) {
  const auto place = [](const Value* value, int axis) {
    return static_cast<size_t>(axis < 0 ? axis + static_cast<int>(value->rank()) : axis);
  };
  if (!a->shape || !b->shape) return false;
  const size_t i = place(a, axis_a), j = place(b, axis_b);
  return i < a->rank() && j < b->rank() && (*a->shape)[i] == (*b->shape)[j];
}

}  // namespace ferry::passes
