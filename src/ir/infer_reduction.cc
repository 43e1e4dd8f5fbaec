// Reductions, softmax, normalization, selection by value.
#include "ir/infer.h"

namespace ferry::ir {
namespace {

std::optional<Shape> reduced(Inference& in) {
  if (!in.input(0).shape) return std::nullopt;
  Shape shape = in.shape(0);
  const bool keep = in.node().get("keepdims", int64_t{1}) != 0;
  std::optional<std::vector<int64_t>> axes = std::vector<int64_t>{};
  if (in.has_input(1)) {
    axes = in.constants(1);
  } else if (const auto* attribute = in.node().find<std::vector<int64_t>>("axes")) {
    axes = *attribute;
  }
  if (!axes) return std::nullopt;
  if (axes->empty()) {
    if (in.node().get("noop_with_empty_axes", int64_t{0}) != 0) return shape;
    for (size_t i = 0; i < shape.size(); ++i) axes->push_back(static_cast<int64_t>(i));
  }
  std::vector<bool> drop(shape.size(), false);
  for (const int64_t axis : *axes) drop[in.axis(axis, shape.size())] = true;
  Shape out;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!drop[i]) {
      out.push_back(shape[i]);
    } else if (keep) {
      out.emplace_back(1);
    }
  }
  return out;
}

void reduce(Inference& in) {
  in.set(0, in.input(0).dtype, reduced(in));
}

void arg_reduce(Inference& in) {
  if (!in.input(0).shape) return in.set(0, DType::i64);
  Shape out = in.shape(0);
  const size_t axis = in.axis(in.node().get("axis", int64_t{0}), out.size());
  if (in.node().get("keepdims", int64_t{1}) != 0) {
    out[axis] = 1;
  } else {
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(axis));
  }
  in.set(0, DType::i64, out);
}

void softmax(Inference& in) {
  if (in.input(0).shape) in.axis(in.node().get("axis", int64_t{-1}), in.shape(0).size());
  in.set(0, in.input(0).dtype, in.input(0).shape);
}

void cumulative_sum(Inference& in) {
  in.set(0, in.input(0).dtype, in.input(0).shape);
}

// The scale (and bias) of a normalization must broadcast to the normalized dimensions.
void check_scale(Inference& in, size_t axis) {
  for (size_t i = 1; i < in.node().inputs.size(); ++i) {
    if (!in.has_input(i) || !in.input(i).shape) continue;
    const Shape& data = in.shape(0);
    const Shape normalized(data.begin() + static_cast<std::ptrdiff_t>(axis), data.end());
    in.broadcast(in.shape(i), normalized);
  }
}

void layer_norm(Inference& in) {
  const auto& data = in.input(0);
  in.set(0, data.dtype, data.shape);
  if (!data.shape) return;
  const size_t axis = in.axis(in.node().get("axis", int64_t{-1}), data.shape->size());
  check_scale(in, axis);
  Shape statistics = *data.shape;
  for (size_t i = axis; i < statistics.size(); ++i) statistics[i] = 1;
  in.set(1, DType::f32, statistics);
  in.set(2, DType::f32, statistics);
}

void rms_norm(Inference& in) {
  const auto& data = in.input(0);
  in.set(0, data.dtype, data.shape);
  if (data.shape) check_scale(in, in.axis(in.node().get("axis", int64_t{-1}), data.shape->size()));
}

void channel_norm(Inference& in) {
  const auto& data = in.input(0);
  in.set(0, data.dtype, data.shape);
  if (!data.shape) return;
  in.require(data.shape->size() >= 2, "the input has no channels");
  const Dim& channels = (*data.shape)[1];
  for (size_t i = 1; i < in.node().inputs.size(); ++i) {
    if (in.has_input(i) && in.input(i).shape)
      in.same(in.shape(i).at(0), channels, "there are not as many parameters as channels");
  }
}

void top_k(Inference& in) {
  const DType dtype = in.input(0).dtype;
  if (!in.input(0).shape) {
    in.set(0, dtype);
    return in.set(1, DType::i64);
  }
  Shape out = in.shape(0);
  const size_t axis = in.axis(in.node().get("axis", int64_t{-1}), out.size());
  const auto k = in.content(1);
  out[axis] = k && k->size() == 1 ? k->at(0) : in.unknown(0, axis);
  in.set(0, dtype, out);
  in.set(1, DType::i64, out);
}

constexpr OpDef kOps[] = {
    {"ReduceSum", reduce},
    {"ReduceMean", reduce},
    {"ReduceMax", reduce},
    {"ReduceMin", reduce},
    {"ReduceProd", reduce},
    {"ReduceL1", reduce},
    {"ReduceL2", reduce},
    {"ReduceSumSquare", reduce},
    {"ReduceLogSum", reduce},
    {"ReduceLogSumExp", reduce},
    {"ArgMax", arg_reduce},
    {"ArgMin", arg_reduce},
    {"Softmax", softmax},
    {"LogSoftmax", softmax},
    {"Hardmax", softmax},
    {"CumSum", cumulative_sum},
    {"LayerNormalization", layer_norm},
    {"RMSNormalization", rms_norm},
    {"BatchNormalization", channel_norm},
    {"InstanceNormalization", channel_norm},
    {"GroupNormalization", channel_norm},
    {"LpNormalization", softmax},
    {"TopK", top_k},
};

}  // namespace

std::span<const OpDef> reduction_ops() {
  return kOps;
}

}  // namespace ferry::ir
