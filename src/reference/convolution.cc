// Convolutions of any number of dimensions, as matrix products over gathered windows.
#include <algorithm>

#include "reference/call.h"
#include "reference/gemm.h"
#include "reference/strides.h"
#include "reference/window.h"

namespace ferry::reference {
namespace {

// Batches, groups, and channels of a group.
struct Groups {
  int64_t batch, groups, in, out;
};

std::vector<float> bias_of(Call& call, int64_t channels) {
  if (!call.has(2)) return std::vector<float>(static_cast<size_t>(channels), 0.0f);
  const auto bias = call.input(2).get<float>();
  call.require(static_cast<int64_t>(bias.size()) == channels, "there is not one bias a channel");
  return {bias.begin(), bias.end()};
}

// Windows for places [begin, end): a matrix [channels * taps, places].
std::vector<float> gathered(const Windows& windows, const float* image, int64_t channels, int64_t begin,
                            int64_t end) {
  const int64_t taps = element_count(windows.kernel), places = end - begin;
  const int64_t plane = element_count(windows.in);
  std::vector<float> out(static_cast<size_t>(channels * taps * places));
  for (int64_t tap = 0; tap < taps; ++tap) {
    const auto sources = tap_sources(windows, tap, begin, end);
    for (int64_t c = 0; c < channels; ++c) {
      const float* from = image + c * plane;
      float* to = out.data() + (c * taps + tap) * places;
      for (size_t i = 0; i < sources.size(); ++i) to[i] = sources[i] < 0 ? 0.0f : from[sources[i]];
    }
  }
  return out;
}

void convolution(Call& call) {
  const Tensor& in = call.input(0);
  const Tensor& weight = call.input(1);
  call.require(in.rank() >= 3 && weight.rank() == in.rank(),
               "input and weight have the same rank, 3 or more");
  const int64_t groups = call.attribute("group", int64_t{1});
  const Windows windows = windows_of(call, in.dims(), Dims(weight.dims().begin() + 2, weight.dims().end()));
  call.require(groups > 0 && in.dim(1) == weight.dim(1) * groups && weight.dim(0) % groups == 0,
               "the weight is for other channels or groups");
  call.require(std::equal(windows.kernel.begin(), windows.kernel.end(), weight.dims().begin() + 2),
               "kernel_shape is not the weight's");
  const Groups at{in.dim(0), groups, weight.dim(1), weight.dim(0) / groups};
  const auto bias = bias_of(call, weight.dim(0));
  Dims dims = {at.batch, weight.dim(0)};
  dims.insert(dims.end(), windows.out.begin(), windows.out.end());
  Tensor out = Tensor::make<float>(dims);
  const float* image = in.get<float>().data();
  const float* filters = weight.get<float>().data();
  float* to = out.edit<float>().data();
  const int64_t plane = element_count(windows.in), places = element_count(windows.out);
  const int64_t inner = at.in * element_count(windows.kernel);
  // Pieces of places bound the memory that gathered windows take.
  const int64_t piece = std::clamp<int64_t>((int64_t{1} << 20) / std::max<int64_t>(1, inner), 32, 4096);
  const int64_t pieces = (places + piece - 1) / piece;
  in_blocks(at.batch * groups * pieces, piece * inner, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t n = i / pieces / groups, g = i / pieces % groups;
      const int64_t begin = i % pieces * piece, end = std::min(places, begin + piece);
      const auto columns = gathered(windows, image + (n * groups + g) * at.in * plane, at.in, begin, end);
      float* rows = to + (n * groups + g) * at.out * places + begin;
      multiply({filters + g * at.out * inner, at.out, inner, inner, 1},
               {columns.data(), inner, end - begin, end - begin, 1}, rows, places);
      for (int64_t c = 0; c < at.out; ++c) {
        const float shift = bias[static_cast<size_t>(g * at.out + c)];
        for (int64_t p = 0; p < end - begin; ++p) rows[c * places + p] += shift;
      }
    }
  });
  call.set(0, out);
}

// The windows of the convolution whose gradient a transposed one is: its input is our result.
Windows transposed_windows(Call& call, const Dims& in, const Dims& kernel) {
  Windows w = windows_of(call, in, kernel);
  std::swap(w.in, w.out);
  w.out.assign(in.begin() + 2, in.end());
  const auto extra = call.attribute("output_padding", std::vector<int64_t>(w.rank(), 0));
  const auto wanted = call.attribute("output_shape", std::vector<int64_t>{});
  const std::string padding = call.attribute("auto_pad", "NOTSET");
  const bool same = padding == "SAME_UPPER" || padding == "SAME_LOWER";
  call.require(extra.size() == w.rank() && (wanted.empty() || wanted.size() == w.rank()),
               "output_padding or output_shape has another length");
  for (size_t d = 0; d < w.rank(); ++d) {
    const int64_t reach = w.strides[d] * (w.out[d] - 1) + extra[d] + w.dilations[d] * (w.kernel[d] - 1) + 1;
    if (wanted.empty() && !same) {
      w.in[d] = reach - w.before[d] - w.after[d];
      continue;
    }
    w.in[d] = wanted.empty() ? w.out[d] * w.strides[d] : wanted[d];
    const int64_t total = std::max<int64_t>(0, reach - w.in[d]);
    w.before[d] = padding == "SAME_UPPER" ? total / 2 : total - total / 2;
  }
  return w;
}

void transposed_convolution(Call& call) {
  const Tensor& in = call.input(0);
  const Tensor& weight = call.input(1);
  call.require(in.rank() >= 3 && weight.rank() == in.rank(),
               "input and weight have the same rank, 3 or more");
  const int64_t groups = call.attribute("group", int64_t{1});
  call.require(groups > 0 && in.dim(1) == weight.dim(0) && in.dim(1) % groups == 0,
               "the weight is for other channels or groups");
  const Windows windows =
      transposed_windows(call, in.dims(), Dims(weight.dims().begin() + 2, weight.dims().end()));
  const Groups at{in.dim(0), groups, in.dim(1) / groups, weight.dim(1)};
  const auto bias = bias_of(call, at.out * groups);
  Dims dims = {at.batch, at.out * groups};
  dims.insert(dims.end(), windows.in.begin(), windows.in.end());
  Tensor out = Tensor::make<float>(dims);
  const float* image = in.get<float>().data();
  const float* filters = weight.get<float>().data();
  float* to = out.edit<float>().data();
  const int64_t plane = element_count(windows.in), places = element_count(windows.out);
  const int64_t taps = element_count(windows.kernel);
  in_blocks(at.batch * groups, places * at.in * taps * at.out, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t g = i % groups;
      const Matrix filter{filters + g * at.in * at.out * taps, at.in, at.out * taps, at.out * taps, 1};
      std::vector<float> shares(static_cast<size_t>(at.out * taps * places));
      multiply(filter.transposed(), {image + i * at.in * places, at.in, places, places, 1}, shares.data(),
               places);
      float* result = to + i * at.out * plane;
      for (int64_t c = 0; c < at.out; ++c)
        std::fill_n(result + c * plane, plane, bias[static_cast<size_t>(g * at.out + c)]);
      for (int64_t tap = 0; tap < taps; ++tap) {
        const auto targets = tap_sources(windows, tap, 0, places);
        for (int64_t c = 0; c < at.out; ++c) {
          const float* share = shares.data() + (c * taps + tap) * places;
          for (size_t p = 0; p < targets.size(); ++p) {
            if (targets[p] >= 0) result[c * plane + targets[p]] += share[p];
          }
        }
      }
    }
  });
  call.set(0, out);
}

constexpr Op kOps[] = {{"Conv", convolution}, {"ConvTranspose", transposed_convolution}};

}  // namespace

std::span<const Op> convolution_ops() {
  return kOps;
}

}  // namespace ferry::reference
