// Functions of one element. Those that are not exact in f32 are computed in f64 and rounded once.
#include <cmath>

#include "reference/elementwise.h"
#include "reference/kernels.h"

namespace ferry::reference {
namespace {

template <typename F>
void apply(Call& call, const F& f) {
  call.set(0, mapped<float, float>(call.input(0), [&](float x) { return static_cast<float>(f(x)); }));
}

// A function of the standard library, in f64.
template <double (*F)(double)>
void math(Call& call) {
  apply(call, [](double x) { return F(x); });
}

// One of the kernels, or what is called like one.
template <typename Kernel>
void apply_kernel(Call& call, const Kernel& kernel) {
  const Tensor& in = call.input(0);
  Tensor out = Tensor::make<float>(in.dims());
  const float* from = in.get<float>().data();
  float* to = out.edit<float>().data();
  in_blocks(static_cast<int64_t>(in.count()), 8,
            [&](int64_t begin, int64_t end) { kernel(from + begin, to + begin, end - begin); });
  call.set(0, out);
}

void exponential(Call& call) {
  apply_kernel(call, kernels().exp);
}
void error_function(Call& call) {
  apply_kernel(call, kernels().erf);
}
void hyperbolic_tangent(Call& call) {
  apply_kernel(call, kernels().tanh);
}

double softplus_of(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

void absolute(Call& call) {
  if (call.input(0).kind() == Kind::integer)
    return call.set(0, mapped<int64_t, int64_t>(call.input(0), [](int64_t x) { return x < 0 ? 0 - x : x; }));
  apply(call, [](float x) { return std::abs(x); });
}

void negative(Call& call) {
  if (call.input(0).kind() == Kind::integer)
    return call.set(0, mapped<int64_t, int64_t>(call.input(0), [](int64_t x) { return 0 - x; }));
  apply(call, [](float x) { return -x; });
}

void sign(Call& call) {
  if (call.input(0).kind() == Kind::integer)
    return call.set(0, mapped<int64_t, int64_t>(call.input(0), [](int64_t x) { return (x > 0) - (x < 0); }));
  apply(call, [](float x) { return std::isnan(x) ? x : static_cast<float>((x > 0) - (x < 0)); });
}

void relu(Call& call) {
  if (call.input(0).kind() == Kind::integer)
    return call.set(
        0, mapped<int64_t, int64_t>(call.input(0), [](int64_t x) { return std::max<int64_t>(x, 0); }));
  apply(call, [](float x) { return x < 0 ? 0.0f : x; });
}

void reciprocal(Call& call) {
  apply(call, [](float x) { return 1.0f / x; });
}
void sigmoid(Call& call) {
  apply_kernel(call, kernels().sigmoid);
}
void softplus(Call& call) {
  apply(call, softplus_of);
}
void softsign(Call& call) {
  apply(call, [](double x) { return x / (1 + std::abs(x)); });
}
void mish(Call& call) {
  apply(call, [](double x) { return x * std::tanh(softplus_of(x)); });
}
void hard_swish(Call& call) {
  apply(call, [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); });
}

void gelu(Call& call) {
  const std::string approximate = call.attribute("approximate", "none");
  if (approximate == "none") return apply_kernel(call, kernels().gelu);
  if (approximate != "tanh") call.unsupported("the approximation " + approximate);
  apply_kernel(call, kernels().gelu_tanh);
}

void swish(Call& call) {
  const double alpha = call.attribute("alpha", 1.0f);
  apply_kernel(call, [alpha](const float* from, float* to, int64_t count) {
    kernels().swish(from, to, count, alpha);
  });
}

void celu(Call& call) {
  const double alpha = call.attribute("alpha", 1.0f);
  apply(call, [=](double x) { return std::max(0.0, x) + std::min(0.0, alpha * std::expm1(x / alpha)); });
}

void elu(Call& call) {
  const double alpha = call.attribute("alpha", 1.0f);
  apply(call, [=](double x) { return x < 0 ? alpha * std::expm1(x) : x; });
}

void selu(Call& call) {
  const double alpha = call.attribute("alpha", 1.67326319217681884765625f);
  const double gamma = call.attribute("gamma", 1.05070102214813232421875f);
  apply(call, [=](double x) { return gamma * (x > 0 ? x : alpha * std::expm1(x)); });
}

void leaky_relu(Call& call) {
  const float alpha = call.attribute("alpha", 0.01f);
  apply(call, [=](float x) { return x < 0 ? alpha * x : x; });
}

void thresholded_relu(Call& call) {
  const float alpha = call.attribute("alpha", 1.0f);
  apply(call, [=](float x) { return x > alpha ? x : 0.0f; });
}

void hard_sigmoid(Call& call) {
  const double alpha = call.attribute("alpha", 0.2f);
  const double beta = call.attribute("beta", 0.5f);
  apply(call, [=](double x) { return std::clamp(alpha * x + beta, 0.0, 1.0); });
}

void shrink(Call& call) {
  const float bias = call.attribute("bias", 0.0f);
  const float lambda = call.attribute("lambd", 0.5f);
  apply(call, [=](float x) { return x < -lambda ? x + bias : x > lambda ? x - bias : 0.0f; });
}

// The bounds came as attributes before opset 11. Where they cross, the upper one wins.
void clip(Call& call) {
  const Tensor& in = call.input(0);
  if (in.kind() == Kind::integer) {
    const int64_t low = call.integer(1, std::numeric_limits<int64_t>::min());
    const int64_t high = call.integer(2, std::numeric_limits<int64_t>::max());
    return call.set(
        0, mapped<int64_t, int64_t>(in, [=](int64_t x) { return std::min(std::max(x, low), high); }));
  }
  const double infinity = std::numeric_limits<double>::infinity();
  const auto low = static_cast<float>(call.number(1, call.attribute("min", static_cast<float>(-infinity))));
  const auto high = static_cast<float>(call.number(2, call.attribute("max", static_cast<float>(infinity))));
  apply(call, [=](float x) {
    const float raised = x < low ? low : x;  // A NaN passes through.
    return raised > high ? high : raised;
  });
}

void logical_not(Call& call) {
  call.set(0, mapped<bool, bool>(call.input(0), [](bool x) { return !x; }));
}
void bitwise_not(Call& call) {
  call.set(0, mapped<int64_t, int64_t>(call.input(0), [](int64_t x) { return ~x; }));
}

void is_nan(Call& call) {
  call.set(0, mapped<float, bool>(call.input(0), [](float x) { return std::isnan(x); }));
}

void is_inf(Call& call) {
  const bool positive = call.attribute("detect_positive", int64_t{1}) != 0;
  const bool negative_too = call.attribute("detect_negative", int64_t{1}) != 0;
  call.set(0, mapped<float, bool>(call.input(0), [=](float x) {
             return std::isinf(x) && (x > 0 ? positive : negative_too);
           }));
}

void identity(Call& call) {
  call.set(0, call.input(0));
}

// In inference, and with a ratio of 0, nothing is dropped.
void dropout(Call& call) {
  const Tensor& data = call.input(0);
  const bool training = call.has(2) && call.input(2).get<bool>()[0] && call.number(1, 0.5) != 0;
  if (training) call.unsupported("Dropout in training");
  call.set(0, data);
  if (!call.wants(1)) return;
  Tensor mask = Tensor::make<bool>(data.dims());
  for (bool& kept : mask.edit<bool>()) kept = true;
  call.set(1, mask);
}

constexpr Op kOps[] = {
    {"Abs", absolute},
    {"Acos", math<std::acos>},
    {"Acosh", math<std::acosh>},
    {"Asin", math<std::asin>},
    {"Asinh", math<std::asinh>},
    {"Atan", math<std::atan>},
    {"Atanh", math<std::atanh>},
    {"Ceil", math<std::ceil>},
    {"Celu", celu},
    {"Clip", clip},
    {"Cos", math<std::cos>},
    {"Cosh", math<std::cosh>},
    {"Elu", elu},
    {"Erf", error_function},
    {"Exp", exponential},
    {"Floor", math<std::floor>},
    {"Gelu", gelu},
    {"HardSigmoid", hard_sigmoid},
    {"HardSwish", hard_swish},
    {"LeakyRelu", leaky_relu},
    {"Log", math<std::log>},
    {"Mish", mish},
    {"Neg", negative},
    {"Not", logical_not},
    {"Reciprocal", reciprocal},
    {"Relu", relu},
    {"Round", math<std::nearbyint>},
    {"Selu", selu},
    {"Shrink", shrink},
    {"Sigmoid", sigmoid},
    {"Sign", sign},
    {"Sin", math<std::sin>},
    {"Sinh", math<std::sinh>},
    {"Softplus", softplus},
    {"Softsign", softsign},
    {"Sqrt", math<std::sqrt>},
    {"Swish", swish},
    {"Tan", math<std::tan>},
    {"Tanh", hyperbolic_tangent},
    {"ThresholdedRelu", thresholded_relu},
    {"BitwiseNot", bitwise_not},
    {"IsNaN", is_nan},
    {"IsInf", is_inf},
    {"Identity", identity},
    {"Dropout", dropout},
};

}  // namespace

std::span<const Op> unary_ops() {
  return kOps;
}

}  // namespace ferry::reference
