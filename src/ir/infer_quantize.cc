// Between floats and integers of few bits, and ONNX Runtime's operators on such integers.
#include "ir/infer.h"

namespace ferry::ir {
namespace {

void quantize_linear(Inference& in) {
  DType dtype = dtype_from_onnx(static_cast<int>(in.node().get("output_dtype", int64_t{0})));
  if (in.has_input(2)) dtype = in.input(2).dtype;
  in.set(0, dtype == DType::undefined ? DType::u8 : dtype, in.input(0).shape);
}

void dequantize_linear(Inference& in) {
  const DType asked = dtype_from_onnx(static_cast<int>(in.node().get("output_dtype", int64_t{0})));
  in.set(0, asked == DType::undefined ? in.input(1).dtype : asked, in.input(0).shape);
}

void dynamic_quantize_linear(Inference& in) {
  in.set(0, DType::u8, in.input(0).shape);
  in.set(1, DType::f32, Shape{});
  in.set(2, DType::u8, Shape{});
}

// A, its scale and zero point, B with its own, and those of the result.
void qlinear_binary(Inference& in) {
  std::optional<Shape> shape;
  if (in.input(0).shape && in.input(3).shape) shape = in.broadcast(in.shape(0), in.shape(3));
  in.set(0, in.input(0).dtype, shape);
}

void like_first(Inference& in) {
  in.set(0, in.input(0).dtype, in.input(0).shape);
}

void qlinear_global_average(Inference& in) {
  if (!in.input(0).shape) return in.set(0, in.input(0).dtype);
  Shape out = in.shape(0);
  const bool channels_last = in.node().get("channels_last", int64_t{0}) != 0;
  in.require(out.size() >= 3, "pooling wants an input of rank 3 or more");
  for (size_t i = channels_last ? 1 : 2; i < out.size() - (channels_last ? 1 : 0); ++i) out[i] = Dim(1);
  in.set(0, in.input(0).dtype, out);
}

// The scale and zero point of the result, then three inputs a part.
void qlinear_concat(Inference& in) {
  const DType dtype = in.input(2).dtype;
  std::optional<Shape> out;
  for (size_t i = 2; i + 2 < in.node().inputs.size(); i += 3) {
    if (!in.input(i).shape) return in.set(0, dtype);
    const Shape& part = in.shape(i);
    const size_t axis = in.axis(in.node().get("axis", int64_t{0}), part.size());
    if (!out) {
      out = part;
      continue;
    }
    in.require(part.size() == out->size(), "parts of different ranks");
    (*out)[axis] = (*out)[axis] + part[axis];
  }
  in.set(0, dtype, out);
}

// A condition, X with scale and zero point, Y with its own, and those of the result.
void qlinear_where(Inference& in) {
  std::optional<Shape> shape;
  if (in.input(0).shape && in.input(1).shape && in.input(4).shape)
    shape = in.broadcast(in.broadcast(in.shape(0), in.shape(1)), in.shape(4));
  in.set(0, in.input(1).dtype, shape);
}

constexpr OpDef kOps[] = {
    {"QuantizeLinear", quantize_linear},
    {"DequantizeLinear", dequantize_linear},
    {"DynamicQuantizeLinear", dynamic_quantize_linear},
    {"QuantizeLinear", quantize_linear, kMicrosoftDomain},
    {"DequantizeLinear", dequantize_linear, kMicrosoftDomain},
    {"QLinearAdd", qlinear_binary, kMicrosoftDomain},
    {"QLinearMul", qlinear_binary, kMicrosoftDomain},
    {"QLinearLeakyRelu", like_first, kMicrosoftDomain},
    {"QLinearSigmoid", like_first, kMicrosoftDomain},
    {"QLinearSoftmax", like_first, kMicrosoftDomain},
    {"QLinearGlobalAveragePool", qlinear_global_average, kMicrosoftDomain},
    {"QLinearConcat", qlinear_concat, kMicrosoftDomain},
    {"QLinearWhere", qlinear_where, kMicrosoftDomain},
};

}  // namespace

std::span<const OpDef> quantization_ops() {
  return kOps;
}

}  // namespace ferry::ir
