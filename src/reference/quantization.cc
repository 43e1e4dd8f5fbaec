// QuantizeLinear and its kin, and ONNX Runtime's element-wise operators on quantized tensors, which compute
// in f32 between dequantizing and quantizing.
#include "reference/quantization.h"

#include <algorithm>

#include "reference/elementwise.h"

namespace ferry::reference {
namespace {

struct Limits {
  int64_t low, high;
};

Limits limits_of(DType dtype) {
  const auto bits = static_cast<int64_t>(bits_of(dtype));
  const bool is_unsigned =
      dtype == DType::u4 || dtype == DType::u8 || dtype == DType::u16 || dtype == DType::u32;
  if (is_unsigned) return {0, (int64_t{1} << bits) - 1};
  return {-(int64_t{1} << (bits - 1)), (int64_t{1} << (bits - 1)) - 1};
}

}  // namespace

Grid::Grid(Call& call, const Dims& dims, size_t scale, size_t zero_point, int64_t axis, int64_t block) {
  const Tensor& scales = call.input(scale);
  scales_.assign(scales.get<float>().begin(), scales.get<float>().end());
  if (call.has(zero_point)) zeros_ = call.integers(zero_point);
  call.require(zeros_.empty() || zeros_.size() == scales_.size() || scales_.size() == 1,
               "there is not one zero point a scale");
  if (zeros_.size() == 1 && scales_.size() > 1) zeros_.assign(scales_.size(), zeros_[0]);
  if (scales_.size() == 1) return;
  const size_t at = call.axis(axis, dims.size());
  length_ = static_cast<size_t>(dims[at]);
  inner_ = static_cast<size_t>(product(dims, at + 1, dims.size()));
  if (block > 0) {
    block_ = static_cast<size_t>(block);
    blocks_ = (length_ + block_ - 1) / block_;
    const auto outer = static_cast<size_t>(product(dims, 0, at));
    call.require(scales_.size() == outer * blocks_ * inner_, "there is not one scale a block");
  } else {
    call.require(scales_.size() == length_, "there is not one scale a place along the axis");
  }
}

size_t Grid::place(size_t element) const {
  if (scales_.size() == 1) return 0;
  const size_t along = element / inner_ % length_;
  if (block_ == 0) return along;
  return (element / inner_ / length_ * blocks_ + along / block_) * inner_ + element % inner_;
}

int64_t quantized(float value_by_scale, int64_t zero_point, DType dtype) {
  const Limits limits = limits_of(dtype);
  const double rounded =
      std::nearbyint(static_cast<double>(value_by_scale)) + static_cast<double>(zero_point);
  if (std::isnan(rounded)) return limits.low;
  return static_cast<int64_t>(
      std::clamp(rounded, static_cast<double>(limits.low), static_cast<double>(limits.high)));
}

Tensor dequantized(Call& call, const Tensor& in, const Grid& grid) {
  call.require(in.kind() == Kind::integer, "only integers are dequantized");
  Tensor out = Tensor::make<float>(in.dims());
  const auto from = in.get<int64_t>();
  const auto to = out.edit<float>();
  for (size_t i = 0; i < from.size(); ++i)
    to[i] = static_cast<float>(from[i] - grid.zero_point(i)) * grid.scale(i);
  return out;
}

Tensor quantized(Call& call, const Tensor& in, const Grid& grid, DType dtype) {
  if (!is_integer(dtype) || bits_of(dtype) > 16) call.unsupported("quantizing to that type");
  Tensor out = Tensor::make<int64_t>(in.dims());
  const auto from = in.get<float>();
  const auto to = out.edit<int64_t>();
  for (size_t i = 0; i < from.size(); ++i)
    to[i] = quantized(from[i] / grid.scale(i), grid.zero_point(i), dtype);
  return out;
}

DynamicRange dynamic_range(const Tensor& in) {
  float low = 0, high = 0;
  for (const float x : in.get<float>()) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
  if (low == high) return {};
  const float scale = (high - low) / 255.0f;
  const float zero = std::clamp(0.0f - low / scale, 0.0f, 255.0f);
  return {scale, static_cast<int64_t>(std::nearbyint(zero))};
}

namespace {

void quantize_linear(Call& call) {
  const Tensor& in = call.input(0);
  const Grid grid(call, in.dims(), 1, 2, call.attribute("axis", int64_t{1}),
                  call.attribute("block_size", int64_t{0}));
  const Tensor real = in.kind() == Kind::integer
                          ? mapped<int64_t, float>(in, [](int64_t x) { return static_cast<float>(x); })
                          : in;
  call.set(0, quantized(call, real, grid, call.output_dtype(0)));
}

void dequantize_linear(Call& call) {
  const Tensor& in = call.input(0);
  const Grid grid(call, in.dims(), 1, 2, call.attribute("axis", int64_t{1}),
                  call.attribute("block_size", int64_t{0}));
  call.set(0, dequantized(call, in, grid));
}

void dynamic_quantize_linear(Call& call) {
  const Tensor& in = call.input(0);
  const DynamicRange range = dynamic_range(in);
  call.set(0, mapped<float, int64_t>(
                  in, [range](float x) { return quantized(x / range.scale, range.zero_point, DType::u8); }));
  call.set(1, Tensor::scalar(range.scale));
  call.set(2, Tensor::scalar(range.zero_point));
}

// The input at `index`, whose scale and zero point follow.
Tensor real_input(Call& call, size_t index) {
  const Tensor& in = call.input(index);
  return dequantized(call, in, Grid(call, in.dims(), index + 1, index + 2));
}

// Quantizes a result whose scale and zero point are the inputs at `scale` and the place after.
void set_quantized(Call& call, const Tensor& real, size_t scale) {
  const Grid grid(call, real.dims(), scale, scale + 1);
  call.set(0, quantized(call, real, grid, call.output_dtype(0)));
}

template <typename F>
void binary(Call& call, const F& f) {
  set_quantized(call, combined<float, float, float>(call, real_input(call, 0), real_input(call, 3), f), 6);
}
void qlinear_add(Call& call) {
  binary(call, [](float x, float y) { return x + y; });
}
void qlinear_mul(Call& call) {
  binary(call, [](float x, float y) { return x * y; });
}

void qlinear_sigmoid(Call& call) {
  const auto sigmoid = [](float x) { return 1 / (1 + std::exp(-x)); };
  set_quantized(call, mapped<float, float>(real_input(call, 0), sigmoid), 3);
}
void qlinear_leaky_relu(Call& call) {
  const float alpha = call.attribute("alpha", 0.01f);
  set_quantized(
      call, mapped<float, float>(real_input(call, 0), [alpha](float x) { return x < 0 ? alpha * x : x; }), 3);
}

// Along one axis; before opset 13 over all axes from it on.
void qlinear_softmax(Call& call) {
  const Tensor in = real_input(call, 0);
  const bool flat = call.attribute("opset", int64_t{13}) < 13;
  const size_t axis = call.axis_attribute(flat ? 1 : -1, in.rank());
  const int64_t length = flat ? product(in.dims(), axis, in.rank()) : in.dim(axis);
  const int64_t inner = flat ? 1 : product(in.dims(), axis + 1, in.rank());
  Tensor out = Tensor::make<float>(in.dims());
  const auto from = in.get<float>();
  const auto to = out.edit<float>();
  const auto rows = static_cast<int64_t>(from.size()) / std::max<int64_t>(1, length);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t first = row / inner * inner * length + row % inner;
    const auto at = [&](int64_t i) { return static_cast<size_t>(first + i * inner); };
    float top = from[at(0)];
    for (int64_t i = 1; i < length; ++i) top = std::max(top, from[at(i)]);
    double sum = 0;
    for (int64_t i = 0; i < length; ++i) sum += std::exp(static_cast<double>(from[at(i)] - top));
    for (int64_t i = 0; i < length; ++i)
      to[at(i)] = static_cast<float>(std::exp(static_cast<double>(from[at(i)] - top)) / sum);
  }
  set_quantized(call, out, 3);
}

void qlinear_global_average(Call& call) {
  const Tensor in = real_input(call, 0);
  const bool last = call.attribute("channels_last", int64_t{0}) != 0;
  const size_t rank = in.rank();
  call.require(rank >= 3, "the input has rank 3 or more");
  const int64_t places = last ? product(in.dims(), 1, rank - 1) : product(in.dims(), 2, rank);
  const int64_t channels = last ? in.dim(rank - 1) : in.dim(1);
  Dims dims(rank, 1);
  dims[0] = in.dim(0);
  dims[last ? rank - 1 : 1] = channels;
  Tensor out = Tensor::make<float>(dims);
  const auto from = in.get<float>();
  const auto to = out.edit<float>();
  for (int64_t i = 0; i < in.dim(0) * channels; ++i) {
    const int64_t n = i / channels, c = i % channels;
    double sum = 0;
    for (int64_t p = 0; p < places; ++p)
      sum += from[static_cast<size_t>(n * channels * places + (last ? p * channels + c : c * places + p))];
    to[static_cast<size_t>(i)] = static_cast<float>(sum / static_cast<double>(places));
  }
  set_quantized(call, out, 3);
}

void qlinear_concat(Call& call) {
  std::vector<Tensor> parts;
  for (size_t i = 2; i + 2 < call.input_count(); i += 3) parts.push_back(real_input(call, i));
  call.require(!parts.empty(), "there is nothing to concatenate");
  const size_t axis = call.axis_attribute(0, parts[0].rank());
  Dims dims = parts[0].dims();
  for (size_t i = 1; i < parts.size(); ++i) dims[axis] += parts[i].dim(axis);
  Tensor out = Tensor::make<float>(dims);
  const int64_t outer = product(dims, 0, axis);
  float* to = out.edit<float>().data();
  for (int64_t o = 0; o < outer; ++o) {
    for (const Tensor& part : parts) {
      const int64_t width = product(part.dims(), axis, part.rank());
      to = std::copy_n(part.get<float>().data() + o * width, width, to);
    }
  }
  set_quantized(call, out, 0);
}

void qlinear_where(Call& call) {
  const Tensor x = real_input(call, 1), y = real_input(call, 4);
  const Tensor zero =
      combined<bool, float, float>(call, call.input(0), x, [](bool c, float a) { return c ? a : 0; });
  const Tensor other =
      combined<bool, float, float>(call, call.input(0), y, [](bool c, float b) { return c ? 0 : b; });
  set_quantized(call,
                combined<float, float, float>(call, zero, other, [](float a, float b) { return a + b; }), 7);
}

constexpr Op kOps[] = {
    {"QuantizeLinear", quantize_linear},
    {"DequantizeLinear", dequantize_linear},
    {"DynamicQuantizeLinear", dynamic_quantize_linear},
    {"QuantizeLinear", quantize_linear, ir::kMicrosoftDomain},
    {"DequantizeLinear", dequantize_linear, ir::kMicrosoftDomain},
    {"QLinearAdd", qlinear_add, ir::kMicrosoftDomain},
    {"QLinearMul", qlinear_mul, ir::kMicrosoftDomain},
    {"QLinearSigmoid", qlinear_sigmoid, ir::kMicrosoftDomain},
    {"QLinearLeakyRelu", qlinear_leaky_relu, ir::kMicrosoftDomain},
    {"QLinearSoftmax", qlinear_softmax, ir::kMicrosoftDomain},
    {"QLinearGlobalAveragePool", qlinear_global_average, ir::kMicrosoftDomain},
    {"QLinearConcat", qlinear_concat, ir::kMicrosoftDomain},
    {"QLinearWhere", qlinear_where, ir::kMicrosoftDomain},
};

}  // namespace

std::span<const Op> quantization_ops() {
  return kOps;
}

}  // namespace ferry::reference
