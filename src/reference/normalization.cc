// Normalizations. Means and variances are taken in f64.
#include <cmath>

#include "reference/call.h"
#include "reference/kernels.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

struct Moments {
  double mean = 0, variance = 0;
};

Moments moments_of(const float* values, int64_t count) {
  Moments out;
  kernels().moments(values, count, out.mean, out.variance);
  return out;
}

// A scale or bias as one number an element of the normalized dimensions, or nothing.
Tensor spread(Call& call, size_t input, const Dims& normalized) {
  if (!call.has(input)) return {};
  const Tensor& in = call.input(input);
  call.require(call.broadcast(in.dims(), normalized) == normalized,
               "scale or bias does not fit the normalized dimensions");
  return strided(in, normalized, broadcast_strides(in.dims(), normalized));
}

void layer_norm(Call& call) {
  const Tensor& in = call.input(0);
  const size_t axis = call.axis_attribute(-1, in.rank());
  const double epsilon = call.attribute("epsilon", 1e-5f);
  const Dims normalized(in.dims().begin() + static_cast<std::ptrdiff_t>(axis), in.dims().end());
  const Tensor scale = spread(call, 1, normalized), bias = spread(call, 2, normalized);
  const int64_t rows = product(in.dims(), 0, axis), length = element_count(normalized);
  Dims statistics = in.dims();
  std::fill(statistics.begin() + static_cast<std::ptrdiff_t>(axis), statistics.end(), 1);
  Tensor out = Tensor::make<float>(in.dims());
  Tensor means = Tensor::make<float>(statistics), inverses = Tensor::make<float>(statistics);
  const float* from = in.get<float>().data();
  const float* factors = scale ? scale.get<float>().data() : nullptr;
  const float* shifts = bias ? bias.get<float>().data() : nullptr;
  float* to = out.edit<float>().data();
  const auto mean = means.edit<float>(), inverse = inverses.edit<float>();
  in_blocks(rows, 4 * length, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Moments moments = moments_of(from + i * length, length);
      const double by = 1 / std::sqrt(moments.variance + epsilon);
      mean[static_cast<size_t>(i)] = static_cast<float>(moments.mean);
      inverse[static_cast<size_t>(i)] = static_cast<float>(by);
      kernels().normalize(from + i * length, to + i * length, length, moments.mean, by, factors, shifts);
    }
  });
  call.set(0, out);
  call.set(1, means);
  call.set(2, inverses);
}

void rms_norm(Call& call) {
  const Tensor& in = call.input(0);
  const size_t axis = call.axis_attribute(-1, in.rank());
  const double epsilon = call.attribute("epsilon", 1e-5f);
  const Dims normalized(in.dims().begin() + static_cast<std::ptrdiff_t>(axis), in.dims().end());
  const Tensor scale = spread(call, 1, normalized);
  call.require(static_cast<bool>(scale), "the scale is missing");
  const int64_t rows = product(in.dims(), 0, axis), length = element_count(normalized);
  Tensor out = Tensor::make<float>(in.dims());
  const float* from = in.get<float>().data();
  const float* factors = scale.get<float>().data();
  float* to = out.edit<float>().data();
  in_blocks(rows, 4 * length, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = from + i * length;
      double squares = 0;
      for (int64_t k = 0; k < length; ++k) squares += static_cast<double>(row[k]) * row[k];
      const double by = 1 / std::sqrt(squares / static_cast<double>(length) + epsilon);
      kernels().normalize(row, to + i * length, length, 0, by, factors, nullptr);
    }
  });
  call.set(0, out);
}

// y = x * factor + shift, with one factor and shift for each channel (axis 1) of each batch or of all.
template <typename Coefficients>
Tensor by_channel(const Tensor& in, const Coefficients& coefficients) {
  const int64_t channels = in.dim(1), inner = product(in.dims(), 2, in.rank());
  Tensor out = Tensor::make<float>(in.dims());
  const float* from = in.get<float>().data();
  float* to = out.edit<float>().data();
  in_blocks(in.dim(0) * channels, 4 * inner, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto [factor, shift] = coefficients(i / channels, i % channels);
      for (int64_t k = i * inner; k < (i + 1) * inner; ++k)
        to[k] = static_cast<float>(from[k] * factor + shift);
    }
  });
  return out;
}

struct Affine {
  double factor, shift;
};

Affine normalizing(const Moments& moments, double epsilon, double scale, double bias) {
  const double factor = scale / std::sqrt(moments.variance + epsilon);
  return {factor, bias - moments.mean * factor};
}

std::span<const float> channel_values(Call& call, size_t input, int64_t channels) {
  const Tensor& in = call.input(input);
  call.require(static_cast<int64_t>(in.count()) == channels, "there is not one number a channel");
  return in.get<float>();
}

void batch_norm(Call& call) {
  const Tensor& in = call.input(0);
  if (call.attribute("training_mode", int64_t{0}) != 0) call.unsupported("BatchNormalization in training");
  call.require(in.rank() >= 2, "the input has no channels");
  const double epsilon = call.attribute("epsilon", 1e-5f);
  const auto scale = channel_values(call, 1, in.dim(1)), bias = channel_values(call, 2, in.dim(1));
  const auto mean = channel_values(call, 3, in.dim(1)), variance = channel_values(call, 4, in.dim(1));
  call.set(0, by_channel(in, [&](int64_t, int64_t channel) {
             const auto c = static_cast<size_t>(channel);
             return normalizing({mean[c], variance[c]}, epsilon, scale[c], bias[c]);
           }));
}

void instance_norm(Call& call) {
  const Tensor& in = call.input(0);
  call.require(in.rank() >= 2, "the input has no channels");
  const double epsilon = call.attribute("epsilon", 1e-5f);
  const auto scale = channel_values(call, 1, in.dim(1)), bias = channel_values(call, 2, in.dim(1));
  const int64_t inner = product(in.dims(), 2, in.rank());
  call.set(0, by_channel(in, [&](int64_t b, int64_t channel) {
             const auto c = static_cast<size_t>(channel);
             const float* values = in.get<float>().data() + (b * in.dim(1) + channel) * inner;
             return normalizing(moments_of(values, inner), epsilon, scale[c], bias[c]);
           }));
}

// Scale and bias are one number a channel since opset 21.
void group_norm(Call& call) {
  const Tensor& in = call.input(0);
  const int64_t groups = call.attribute("num_groups", int64_t{1});
  call.require(in.rank() >= 2 && groups > 0 && in.dim(1) % groups == 0,
               "the groups do not divide the channels");
  const double epsilon = call.attribute("epsilon", 1e-5f);
  const auto scale = channel_values(call, 1, in.dim(1)), bias = channel_values(call, 2, in.dim(1));
  const int64_t width = in.dim(1) / groups;
  const int64_t inner = width * product(in.dims(), 2, in.rank());
  std::vector<Moments> moments;
  for (int64_t i = 0; i < in.dim(0) * groups; ++i)
    moments.push_back(moments_of(in.get<float>().data() + i * inner, inner));
  call.set(0, by_channel(in, [&](int64_t b, int64_t channel) {
             const auto c = static_cast<size_t>(channel);
             return normalizing(moments[static_cast<size_t>(b * groups + channel / width)], epsilon, scale[c],
                                bias[c]);
           }));
}

constexpr Op kOps[] = {
    {"LayerNormalization", layer_norm},         {"RMSNormalization", rms_norm},
    {"SimplifiedLayerNormalization", rms_norm},  // ONNX Runtime's, in ONNX's own domain.

    {"BatchNormalization", batch_norm},         {"InstanceNormalization", instance_norm},
    {"GroupNormalization", group_norm},
};

}  // namespace

std::span<const Op> normalization_ops() {
  return kOps;
}

}  // namespace ferry::reference
