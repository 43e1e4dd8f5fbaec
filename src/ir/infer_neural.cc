// Convolution, pooling, resizing.
#include <algorithm>

#include "ir/infer.h"

namespace ferry::ir {
namespace {

std::vector<int64_t> per_axis(Inference& in, std::string_view name, size_t count, int64_t otherwise) {
  const auto values = in.node().get(name, std::vector<int64_t>(count, otherwise));
  in.require(values.size() == count,
             "a convolution attribute has another length than the input has spatial dimensions");
  constexpr int64_t kMost = int64_t{1} << 31;
  in.require(std::all_of(values.begin(), values.end(), [](int64_t v) { return v > -kMost && v < kMost; }),
             "a convolution attribute is out of range");
  return values;
}

// The spatial size after a window of `kernel` moved over `size`.
Dim window(Inference& in, const Dim& size, int64_t kernel, int64_t stride, int64_t dilation, int64_t pads,
           bool ceil_mode) {
  in.require(stride > 0 && dilation > 0, "strides and dilations are positive");
  const std::string padding = in.node().get("auto_pad", std::string("NOTSET"));
  if (padding == "SAME_UPPER" || padding == "SAME_LOWER") return (size + Dim(stride - 1)).floor_div(stride);
  const Dim span = size + Dim((padding == "VALID" ? 0 : pads) - dilation * (kernel - 1) - 1 +
                              (ceil_mode ? stride - 1 : 0));
  return span.floor_div(stride) + Dim(1);
}

// Of an input and a weight at these places.
std::optional<Shape> convolution_shape(Inference& in, size_t data_input, size_t weight_input) {
  if (!in.input(data_input).shape || !in.input(weight_input).shape) return std::nullopt;
  const Shape& data = in.shape(data_input);
  const Shape& weight = in.shape(weight_input);
  in.require(data.size() >= 3 && data.size() == weight.size(),
             "Conv wants an input and a weight of the same rank, 3 or more");
  const size_t spatial = data.size() - 2;
  in.same(data[1], weight[1] * Dim(in.node().get("group", int64_t{1})),
          "the weight is for another number of channels");
  const auto strides = per_axis(in, "strides", spatial, 1);
  const auto dilations = per_axis(in, "dilations", spatial, 1);
  const auto pads = per_axis(in, "pads", 2 * spatial, 0);
  Shape out{data[0], weight[0]};
  for (size_t i = 0; i < spatial; ++i) {
    in.require(weight[i + 2].is_constant(), "Conv with a kernel size that is not known");
    out.push_back(window(in, data[i + 2], *weight[i + 2].constant(), strides[i], dilations[i],
                         pads[i] + pads[i + spatial], false));
  }
  return out;
}

void convolution(Inference& in) {
  in.require_same_dtype(0, 1);
  in.set(0, in.input(0).dtype, convolution_shape(in, 0, 1));
}

void integer_convolution(Inference& in) {
  in.set(0, DType::i32, convolution_shape(in, 0, 1));
}

void qlinear_convolution(Inference& in) {
  in.set(0, in.input(7).dtype, convolution_shape(in, 0, 3));
}

void transposed_convolution(Inference& in) {
  const DType dtype = in.input(0).dtype;
  if (!in.ranks_known(2)) return in.set(0, dtype);
  const Shape& data = in.shape(0);
  const Shape& weight = in.shape(1);
  in.require(data.size() >= 3 && data.size() == weight.size(),
             "ConvTranspose wants an input and a weight of the same rank, 3 or more");
  in.same(data[1], weight[0], "the weight is for another number of channels");
  const size_t spatial = data.size() - 2;
  const auto strides = per_axis(in, "strides", spatial, 1);
  const auto dilations = per_axis(in, "dilations", spatial, 1);
  const auto pads = per_axis(in, "pads", 2 * spatial, 0);
  const auto extra = per_axis(in, "output_padding", spatial, 0);
  Shape out{data[0], weight[1] * Dim(in.node().get("group", int64_t{1}))};
  for (size_t i = 0; i < spatial; ++i) {
    in.require(weight[i + 2].is_constant(), "ConvTranspose with a kernel size that is not known");
    const int64_t reach =
        dilations[i] * (*weight[i + 2].constant() - 1) + 1 + extra[i] - pads[i] - pads[i + spatial];
    out.push_back((data[i + 2] - Dim(1)) * Dim(strides[i]) + Dim(reach));
  }
  in.set(0, dtype, out);
}

void pool(Inference& in) {
  const DType dtype = in.input(0).dtype;
  if (!in.input(0).shape) return in.set(0, dtype);
  const Shape& data = in.shape(0);
  in.require(data.size() >= 3, "pooling wants an input of rank 3 or more");
  const size_t spatial = data.size() - 2;
  const auto kernel = per_axis(in, "kernel_shape", spatial, 1);
  const auto strides = per_axis(in, "strides", spatial, 1);
  const auto dilations = per_axis(in, "dilations", spatial, 1);
  const auto pads = per_axis(in, "pads", 2 * spatial, 0);
  const bool ceil_mode = in.node().get("ceil_mode", int64_t{0}) != 0;
  Shape out{data[0], data[1]};
  for (size_t i = 0; i < spatial; ++i) {
    out.push_back(
        window(in, data[i + 2], kernel[i], strides[i], dilations[i], pads[i] + pads[i + spatial], ceil_mode));
  }
  in.set(0, dtype, out);
  in.set(1, DType::i64, out);
}

void global_pool(Inference& in) {
  if (!in.input(0).shape) return in.set(0, in.input(0).dtype);
  Shape out = in.shape(0);
  in.require(out.size() >= 2, "pooling wants an input with channels");
  std::fill(out.begin() + 2, out.end(), Dim(1));
  in.set(0, in.input(0).dtype, out);
}

// The axes that the scales or sizes of a Resize are for: all, or those of its attribute.
std::vector<size_t> resized_axes(Inference& in, size_t rank) {
  std::vector<size_t> out;
  const auto axes = in.node().get("axes", std::vector<int64_t>{});
  for (const int64_t axis : axes) out.push_back(in.axis(axis, rank));
  for (size_t i = 0; axes.empty() && i < rank; ++i) out.push_back(i);
  return out;
}

Dim scaled(Inference& in, const Dim& size, float scale, size_t axis) {
  constexpr float kMost = 1e6f;
  in.require(scale > 0 && scale < kMost, "Resize by a scale that is out of range");
  const auto whole = static_cast<int64_t>(scale);
  if (static_cast<float>(whole) == scale) return size * Dim(whole);
  if (size.is_constant()) return static_cast<int64_t>(static_cast<float>(*size.constant()) * scale);
  return in.unknown(0, axis);
}

void resize(Inference& in) {
  const DType dtype = in.input(0).dtype;
  if (!in.input(0).shape) return in.set(0, dtype);
  Shape out = in.shape(0);
  const auto axes = resized_axes(in, out.size());
  if (in.has_input(3)) {
    if (const auto sizes = in.content(3)) {
      in.require(sizes->size() == axes.size(), "Resize with another number of sizes than axes");
      for (size_t i = 0; i < axes.size(); ++i) out[axes[i]] = (*sizes)[i];
      return in.set(0, dtype, out);
    }
  } else if (in.has_input(2) && in.input(2).is_weight()) {
    const auto scales = in.input(2).weight->as_f32();
    in.require(scales.size() == axes.size(), "Resize with another number of scales than axes");
    for (size_t i = 0; i < axes.size(); ++i) out[axes[i]] = scaled(in, out[axes[i]], scales[i], axes[i]);
    return in.set(0, dtype, out);
  }
  in.require(!in.strict(), "Resize to a size that is not known");
  for (const size_t axis : axes) out[axis] = in.unknown(0, axis);
  in.set(0, dtype, out);
}

void grid_sample(Inference& in) {
  if (!in.ranks_known(2)) return in.set(0, in.input(0).dtype);
  const Shape& data = in.shape(0);
  const Shape& grid = in.shape(1);
  in.require(data.size() >= 2 && grid.size() >= 2, "GridSample of fewer than two dimensions");
  Shape out{data[0], data[1]};
  out.insert(out.end(), grid.begin() + 1, grid.end() - 1);
  in.set(0, in.input(0).dtype, out);
}

constexpr OpDef kOps[] = {
    {"Conv", convolution},
    {"ConvInteger", integer_convolution},
    {"QLinearConv", qlinear_convolution},
    {"ConvTranspose", transposed_convolution},
    {"MaxPool", pool},
    {"AveragePool", pool},
    {"GlobalAveragePool", global_pool},
    {"GlobalMaxPool", global_pool},
    {"Resize", resize},
    {"GridSample", grid_sample},
};

}  // namespace

std::span<const OpDef> neural_ops() {
  return kOps;
}

}  // namespace ferry::ir
