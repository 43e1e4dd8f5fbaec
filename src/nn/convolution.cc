#include "nn/convolution.h"

namespace ferry::nn {
namespace op = ir::op;

namespace {

// ONNX's pads: those at the start of each dimension, then those at the end.
std::vector<int64_t> pads(const ConvOptions& options) {
  if (options.padding.empty() && options.end_padding.empty()) return {};
  std::vector<int64_t> out = options.padding;
  if (out.empty()) out.resize(options.kernel.size(), 0);
  const auto ends = options.end_padding.empty() ? out : options.end_padding;
  out.insert(out.end(), ends.begin(), ends.end());
  return out;
}

Dims weight_dims(int64_t in, int64_t out, const ConvOptions& options) {
  Dims dims = {out, in / options.groups};
  dims.insert(dims.end(), options.kernel.begin(), options.kernel.end());
  return dims;
}

ConvOptions square(int64_t kernel, int64_t stride, bool bias) {
  ConvOptions out;
  out.kernel = {kernel, kernel};
  if (stride != 1) out.stride = {stride, stride};
  if (kernel / 2 != 0) out.padding = {kernel / 2, kernel / 2};
  out.bias = bias;
  return out;
}

}  // namespace

Conv::Conv(const Scope& scope, int64_t in, int64_t out, ConvOptions options)
    : scope_(scope),
      options_(std::move(options)),
      weight_(scope.parameter("weight", weight_dims(in, out, options_))) {
  if (options_.bias) bias_ = scope.parameter("bias", {out});
}

Conv::Conv(const Scope& scope, int64_t in, int64_t out, int64_t kernel, int64_t stride, bool bias)
    : Conv(scope, in, out, square(kernel, stride, bias)) {}

Conv::Conv(const Scope& scope, Tensor weight, Tensor bias, ConvOptions options)
    : scope_(scope), options_(std::move(options)), weight_(weight), bias_(bias) {}

Tensor Conv::operator()(const Tensor& x) const {
  const auto named = scope_.named();
  ir::Attributes attributes = {{"kernel_shape", options_.kernel}};
  if (!options_.stride.empty()) attributes["strides"] = options_.stride;
  if (const auto sides = pads(options_); !sides.empty()) attributes["pads"] = sides;
  if (!options_.dilation.empty()) attributes["dilations"] = options_.dilation;
  if (options_.groups != 1) attributes["group"] = options_.groups;
  std::vector<Tensor> inputs = {x, weight_};
  if (bias_) inputs.push_back(bias_);
  return op::emit("Conv", inputs, std::move(attributes));
}

BatchNorm::BatchNorm(const Scope& scope, int64_t size, float epsilon)
    : scope_(scope),
      weight_(scope.parameter("weight", {size})),
      bias_(scope.parameter("bias", {size})),
      mean_(scope.parameter("running_mean", {size})),
      variance_(scope.parameter("running_var", {size})),
      epsilon_(epsilon) {
  scope.ignore("num_batches_tracked");
}

Tensor BatchNorm::operator()(const Tensor& x) const {
  const auto named = scope_.named();
  return op::emit("BatchNormalization", {x, weight_, bias_, mean_, variance_}, {{"epsilon", epsilon_}});
}

GroupNorm::GroupNorm(const Scope& scope, int64_t groups, int64_t size, float epsilon)
    : scope_(scope),
      weight_(scope.parameter("weight", {size})),
      bias_(scope.parameter("bias", {size})),
      groups_(groups),
      epsilon_(epsilon) {}

Tensor GroupNorm::operator()(const Tensor& x) const {
  const auto named = scope_.named();
  return op::emit("GroupNormalization", {x, weight_, bias_},
                  {{"num_groups", groups_}, {"epsilon", epsilon_}});
}

Tensor over_channels(const LayerNorm& norm, const Tensor& x) {
  return op::transpose(norm(op::transpose(x, {0, 2, 3, 1})), {0, 3, 1, 2});
}

Tensor max_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding) {
  return op::emit("MaxPool", {x},
                  {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
                   {"strides", std::vector<int64_t>{stride, stride}},
                   {"pads", std::vector<int64_t>(4, padding)}});
}

Tensor mean_of_image(const Tensor& x) {
  return op::emit("Flatten", {op::unary("GlobalAveragePool", x)}, {{"axis", int64_t{1}}});
}

Tensor resize_to(const Tensor& x, const Tensor& like, const char* mode) {
  const Tensor sizes = op::concat({op::shape_of(x, 0, 2), op::shape_of(like, 2, 4)}, 0);
  const bool nearest = std::string_view(mode) == "nearest";
  ir::Attributes attributes = {
      {"mode", std::string(nearest ? "nearest" : "linear")},
      {"coordinate_transformation_mode", std::string(nearest ? "asymmetric" : "half_pixel")}};
  if (nearest) attributes["nearest_mode"] = std::string("floor");
  return op::emit("Resize", {x, Tensor(), Tensor(), sizes}, std::move(attributes));
}

}  // namespace ferry::nn
