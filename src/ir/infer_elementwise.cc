// Operators that work element by element.
#include <algorithm>

#include "ir/infer.h"

namespace ferry::ir {
namespace {

void unary(Inference& in) {
  in.set(0, in.input(0).dtype, in.input(0).shape);
}

void predicate(Inference& in) {
  in.set(0, DType::boolean, in.input(0).shape);
}

std::optional<Shape> broadcast_all(Inference& in) {
  const size_t count = in.node().inputs.size();
  if (!in.ranks_known(count)) return std::nullopt;
  Shape shape = in.shape(0);
  for (size_t i = 1; i < count; ++i) shape = in.broadcast(shape, in.shape(i));
  return shape;
}

// Shape arithmetic: + - * of what two integer tensors hold.
std::optional<std::vector<Dim>> arithmetic_content(Inference& in) {
  if (!is_integer(in.input(0).dtype)) return std::nullopt;
  const auto a = in.content(0);
  const auto b = in.content(1);
  if (!a || !b || a->empty() || b->empty() || (a->size() != b->size() && a->size() != 1 && b->size() != 1))
    return std::nullopt;
  const std::string& op = in.node().op_type;
  std::vector<Dim> out;
  for (size_t i = 0; i < std::max(a->size(), b->size()); ++i) {
    const Dim& x = (*a)[a->size() == 1 ? 0 : i];
    const Dim& y = (*b)[b->size() == 1 ? 0 : i];
    if (op == "Add") {
      out.push_back(x + y);
    } else if (op == "Sub") {
      out.push_back(x - y);
    } else if (op == "Mul") {
      out.push_back(x * y);
    } else if (op == "Div" && y.is_constant() && *y.constant() > 0) {
      out.push_back(x.floor_div(*y.constant()));
    } else {
      return std::nullopt;
    }
  }
  return out;
}

void arithmetic(Inference& in) {
  in.require_same_dtype(0, 1);
  in.set(0, in.input(0).dtype, broadcast_all(in));
  in.set_content(0, arithmetic_content(in));
}

void power(Inference& in) {
  in.set(0, in.input(0).dtype, broadcast_all(in));
}

void variadic(Inference& in) {
  for (size_t i = 1; i < in.node().inputs.size(); ++i) in.require_same_dtype(0, i);
  in.set(0, in.input(0).dtype, broadcast_all(in));
}

void comparison(Inference& in) {
  in.require_same_dtype(0, 1);
  in.set(0, DType::boolean, broadcast_all(in));
}

// What two integer tensors hold, element by element; a single number goes with all.
template <typename Combine>
std::optional<std::vector<Dim>> combined(const std::vector<Dim>& a, const std::vector<Dim>& b,
                                         Combine combine) {
  const size_t count = std::max(a.size(), b.size());
  if (a.empty() || b.empty() || (a.size() != count && a.size() != 1) || (b.size() != count && b.size() != 1))
    return std::nullopt;
  std::vector<Dim> out;
  for (size_t i = 0; i < count; ++i) {
    const std::optional<Dim> one = combine(a[a.size() == 1 ? 0 : i], b[b.size() == 1 ? 0 : i]);
    if (!one) return std::nullopt;
    out.push_back(*one);
  }
  return out;
}

// A sum of sizes, which has no minus in it.
bool is_never_negative(const Dim& dim) {
  return dim.str().find('-') == std::string::npos;
}

// 1 where equal, 0 where not.
std::optional<Dim> equal_dims(const Dim& a, const Dim& b) {
  if (a == b) return Dim(1);
  const auto x = a.constant(), y = b.constant();
  if ((x && y) || (x && *x < 0 && is_never_negative(b)) || (y && *y < 0 && is_never_negative(a)))
    return Dim(0);
  return std::nullopt;
}

void equal(Inference& in) {
  comparison(in);
  const auto a = in.content(0), b = in.content(1);
  if (a && b) in.set_content(0, combined(*a, *b, equal_dims));
}

void where(Inference& in) {
  in.require_same_dtype(1, 2);
  in.set(0, in.input(1).dtype, broadcast_all(in));
  const auto condition = in.content(0), a = in.content(1), b = in.content(2);
  if (!condition || !a || !b) return;
  const auto taken = combined(*condition, *a, [](const Dim& yes, const Dim& x) -> std::optional<Dim> {
    return yes == Dim(1) ? x : Dim(0);
  });
  const auto left = combined(*condition, *b, [](const Dim& yes, const Dim& x) -> std::optional<Dim> {
    return yes == Dim(1) ? Dim(0) : x;
  });
  if (taken && left)
    in.set_content(0,
                   combined(*taken, *left, [](const Dim& x, const Dim& y) { return std::optional(x + y); }));
}

void cast(Inference& in) {
  const DType to = dtype_from_onnx(static_cast<int>(in.node().get("to", int64_t{0})));
  in.require(to != DType::undefined, "Cast to an unknown element type");
  const auto content = in.content(0);
  in.set(0, to, in.input(0).shape);
  if (is_integer(to) && is_integer(in.input(0).dtype)) in.set_content(0, content);
}

void cast_like(Inference& in) {
  in.set(0, in.input(1).dtype, in.input(0).shape);
}

void identity(Inference& in) {
  const auto content = in.content(0);
  in.set(0, in.input(0).dtype, in.input(0).shape);
  in.set_content(0, content);
}

void dropout(Inference& in) {
  in.set(0, in.input(0).dtype, in.input(0).shape);
  in.set(1, DType::boolean, in.input(0).shape);
}

void random_like(Inference& in) {
  const auto to = static_cast<int>(in.node().get("dtype", int64_t{0}));
  in.set(0, to != 0 ? dtype_from_onnx(to) : in.input(0).dtype, in.input(0).shape);
}

constexpr OpDef kOps[] = {
    {"Abs", unary},
    {"Acos", unary},
    {"Acosh", unary},
    {"Asin", unary},
    {"Asinh", unary},
    {"Atan", unary},
    {"Atanh", unary},
    {"Ceil", unary},
    {"Celu", unary},
    {"Clip", unary},
    {"Cos", unary},
    {"Cosh", unary},
    {"Elu", unary},
    {"Erf", unary},
    {"Exp", unary},
    {"Floor", unary},
    {"Gelu", unary},
    {"HardSigmoid", unary},
    {"HardSwish", unary},
    {"LeakyRelu", unary},
    {"Log", unary},
    {"Mish", unary},
    {"Neg", unary},
    {"Not", unary},
    {"Reciprocal", unary},
    {"Relu", unary},
    {"Round", unary},
    {"Selu", unary},
    {"Shrink", unary},
    {"Sigmoid", unary},
    {"Sign", unary},
    {"Sin", unary},
    {"Sinh", unary},
    {"Softplus", unary},
    {"Softsign", unary},
    {"Sqrt", unary},
    {"Swish", unary},
    {"Tan", unary},
    {"Tanh", unary},
    {"ThresholdedRelu", unary},
    {"BitwiseNot", unary},
    {"IsNaN", predicate},
    {"IsInf", predicate},
    {"Add", arithmetic},
    {"Sub", arithmetic},
    {"Mul", arithmetic},
    {"Div", arithmetic},
    {"Mod", arithmetic},
    {"Pow", power},
    {"PRelu", arithmetic},
    {"BitwiseAnd", arithmetic},
    {"BitwiseOr", arithmetic},
    {"BitwiseXor", arithmetic},
    {"BitShift", arithmetic},
    {"And", comparison},
    {"Or", comparison},
    {"Xor", comparison},
    {"Equal", equal},
    {"Less", comparison},
    {"LessOrEqual", comparison},
    {"Greater", comparison},
    {"GreaterOrEqual", comparison},
    {"Max", variadic},
    {"Min", variadic},
    {"Mean", variadic},
    {"Sum", variadic},
    {"Where", where},
    {"Cast", cast},
    {"CastLike", cast_like},
    {"Identity", identity},
    {"Dropout", dropout},
    {"RandomNormalLike", random_like},
    {"RandomUniformLike", random_like},
};

}  // namespace

std::span<const OpDef> elementwise_ops() {
  return kOps;
}

}  // namespace ferry::ir
