#include "nn/layers.h"

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numbers>

#include "base/error.h"
#include "base/text.h"

namespace ferry::nn {
namespace op = ir::op;

Linear::Linear(const Scope& scope, int64_t in, int64_t out, bool bias)
    : scope_(scope), weight_(op::transpose(scope.parameter("weight", {out, in}), {1, 0})) {
  if (bias) bias_ = scope.parameter("bias", {out});
}

Tensor Linear::operator()(const Tensor& x) const {
  const auto named = scope_.named();
  const Tensor y = op::matmul(x, weight_);
  return bias_ ? y + bias_ : y;
}

Conv1D::Conv1D(const Scope& scope, int64_t in, int64_t out)
    : scope_(scope),
      weight_(scope.is_quantized("weight") ? op::transpose(scope.parameter("weight", {out, in}), {1, 0})
                                           : scope.parameter("weight", {in, out})),
      bias_(scope.parameter("bias", {out})) {}

Tensor Conv1D::operator()(const Tensor& x) const {
  const auto named = scope_.named();
  return op::matmul(x, weight_) + bias_;
}

Embedding::Embedding(const Scope& scope, int64_t count, int64_t size)
    : scope_(scope), weight_(scope.parameter("weight", {count, size})) {}

Tensor Embedding::operator()(const Tensor& ids) const {
  const auto named = scope_.named();
  return op::gather(weight_, ids);
}

Tensor Embedding::first_rows(const Tensor& length) const {
  const auto named = scope_.named();
  return op::slice(weight_, 0, op::integers(length.graph(), {0}), length);
}

Tensor Embedding::project(const Tensor& x) const {
  const auto named = scope_.named();
  // emit_n, because emit would fold the transposition into a second weight.
  const Tensor transposed = op::emit_n("Transpose", {weight_}, {{"perm", std::vector<int64_t>{1, 0}}}, 1)[0];
  return op::matmul(x, transposed);
}

LayerNorm::LayerNorm(const Scope& scope, int64_t size, float epsilon, bool bias)
    : scope_(scope), weight_(scope.parameter("weight", {size})), epsilon_(epsilon) {
  if (bias) bias_ = scope.parameter("bias", {size});
}

Tensor LayerNorm::operator()(const Tensor& x) const {
  const auto named = scope_.named();
  return op::layer_norm(x, weight_, bias_, epsilon_);
}

namespace {

Tensor offset_parameter(const Scope& scope, int64_t size, float offset) {
  if (offset == 0) return scope.parameter("weight", {size});
  const Weight stored = scope.weight("weight", {size});
  const std::vector<float> offsets(static_cast<size_t>(size), offset);
  return scope.constant("weight", stored.add(Weight::from_f32({size}, offsets).cast(stored.dtype())));
}

}  // namespace

RMSNorm::RMSNorm(const Scope& scope, int64_t size, float epsilon, float offset)
    : scope_(scope), weight_(offset_parameter(scope, size, offset)), epsilon_(epsilon) {}

Tensor RMSNorm::operator()(const Tensor& x) const {
  const auto named = scope_.named();
  return op::rms_norm(x, weight_, epsilon_);
}

namespace {

using Activation = std::function<Tensor(const Tensor&, const Scope*)>;

Tensor gelu(const Tensor& x, const char* approximate) {
  return op::emit("Gelu", {x}, {{"approximate", std::string(approximate)}});
}
Tensor swish(const Tensor& x, float alpha) {
  return op::emit("Swish", {x}, {{"alpha", alpha}});
}

// LaplaceActivation (MEGA): 0.5 (1 + erf((x - mu) / (sigma sqrt 2))), mu = sqrt(1/2), sigma = sqrt(1/(4 pi)),
// rounded there.
Tensor laplace(const Tensor& x) {
  const Tensor scaled = op::div(op::add(x, -0.707107), 0.282095 * std::numbers::sqrt2);
  return op::mul(op::add(op::unary("Erf", scaled), 1.0), 0.5);
}

Tensor prelu(const Tensor& x, const Scope* scope) {
  check_internal(scope != nullptr, "prelu wants the place of its parameter");
  return op::emit("PRelu", {x, scope->parameter("weight", {1})});
}

const std::map<std::string, Activation, std::less<>>& activations() {
  static const std::map<std::string, Activation, std::less<>> table = {
      {"gelu", [](const Tensor& x, const Scope*) { return gelu(x, "none"); }},
      {"gelu_10", [](const Tensor& x, const Scope*) { return op::clip(gelu(x, "none"), -10.0, 10.0); }},
      {"gelu_accurate", [](const Tensor& x, const Scope*) { return gelu(x, "tanh"); }},
      {"gelu_fast", [](const Tensor& x, const Scope*) { return gelu(x, "tanh"); }},
      {"gelu_new", [](const Tensor& x, const Scope*) { return gelu(x, "tanh"); }},
      {"gelu_python", [](const Tensor& x, const Scope*) { return gelu(x, "none"); }},
      {"gelu_python_tanh", [](const Tensor& x, const Scope*) { return gelu(x, "tanh"); }},
      {"gelu_pytorch_tanh", [](const Tensor& x, const Scope*) { return gelu(x, "tanh"); }},
      {"hardswish", [](const Tensor& x, const Scope*) { return op::unary("HardSwish", x); }},
      {"laplace", [](const Tensor& x, const Scope*) { return laplace(x); }},
      {"leaky_relu",
       [](const Tensor& x, const Scope*) {
         return op::emit("LeakyRelu", {x}, {{"alpha", 0.01f}});
       }},
      {"linear", [](const Tensor& x, const Scope*) { return x; }},
      {"mish", [](const Tensor& x, const Scope*) { return op::unary("Mish", x); }},
      {"prelu", prelu},
      {"quick_gelu", [](const Tensor& x, const Scope*) { return swish(x, 1.702f); }},
      {"relu", [](const Tensor& x, const Scope*) { return op::unary("Relu", x); }},
      {"relu2",
       [](const Tensor& x, const Scope*) {
         const Tensor y = op::unary("Relu", x);
         return y * y;
       }},
      {"relu6", [](const Tensor& x, const Scope*) { return op::clip(x, 0.0, 6.0); }},
      {"sigmoid", [](const Tensor& x, const Scope*) { return op::unary("Sigmoid", x); }},
      {"silu", [](const Tensor& x, const Scope*) { return swish(x, 1.0f); }},
      {"swish", [](const Tensor& x, const Scope*) { return swish(x, 1.0f); }},
      {"tanh", [](const Tensor& x, const Scope*) { return op::unary("Tanh", x); }},
  };
  return table;
}

}  // namespace

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const auto& [name, function] : activations()) out.push_back(name);
    return out;
  }();
  return names;
}

Tensor activation(std::string_view name, const Tensor& x, const Scope* scope) {
  const auto found = activations().find(name);
  if (found == activations().end()) {
    throw Error(ErrorCode::unsupported, "there is no activation function \"" + std::string(name) + "\"")
        .with_hint("known: " + join(activation_names(), ", ", 100));
  }
  return found->second(x, scope);
}

double lowest(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return -65504.0;
    case DType::bf16:
      return -3.3895313892515355e38;
    default:
      return std::numeric_limits<float>::lowest();
  }
}

Tensor additive_mask(const Tensor& attention_mask, DType dtype) {
  const Tensor attend = op::cast(op::unsqueeze(attention_mask, {1, 2}), dtype);
  return op::sub(1.0, attend) * lowest(dtype);
}

Tensor causal_additive_mask(const Tensor& attention_mask, DType dtype) {
  const Tensor length = op::size_of(attention_mask, 1);
  const Tensor positions = op::range(op::scalar(attention_mask.graph(), int64_t{0}), length);
  const Tensor before =
      op::emit("LessOrEqual", {op::unsqueeze(positions, {0}), op::unsqueeze(positions, {1})});  // [S, S]
  const Tensor attend = op::cast(op::unsqueeze(attention_mask, {1, 2}), DType::boolean);
  const Tensor both = op::emit("And", {before, attend});  // [B, 1, S, S]
  const Tensor zero = op::scalar(attention_mask.graph(), 0.0f, dtype);
  return op::where(both, zero, op::scalar_like(zero, lowest(dtype)));
}

Tensor select(const Tensor& x, int64_t axis, int64_t index) {
  return op::gather(x, op::scalar(x.graph(), index), axis);
}

Tensor split_heads(const Tensor& x, int64_t heads) {
  const auto size = x.dim(-1).divide_exactly(ir::Dim(heads));
  check_internal(size && size->is_constant(), "the number of heads does not divide the width");
  return op::transpose(op::reshape(x, {0, 0, heads, *size->constant()}), {0, 2, 1, 3});
}

Tensor merge_heads(const Tensor& x) {
  return op::reshape(op::transpose(x, {0, 2, 1, 3}), {0, 0, -1});
}

}  // namespace ferry::nn
