// Pooling over windows, and over everything.
#include <cmath>
#include <limits>

#include "reference/call.h"
#include "reference/strides.h"
#include "reference/window.h"

namespace ferry::reference {
namespace {

struct Pooled {
  Windows windows;
  int64_t planes = 0, plane = 0, places = 0;
  Dims dims;
};

Pooled pooled(Call& call) {
  const Tensor& in = call.input(0);
  Pooled out;
  out.windows = windows_of(call, in.dims(), {}, call.attribute("ceil_mode", int64_t{0}) != 0);
  out.planes = in.dim(0) * in.dim(1);
  out.plane = element_count(out.windows.in);
  out.places = element_count(out.windows.out);
  out.dims = {in.dim(0), in.dim(1)};
  out.dims.insert(out.dims.end(), out.windows.out.begin(), out.windows.out.end());
  return out;
}

// The first of equal elements is the one whose index is given. Padding never is.
void max_pool(Call& call) {
  if (call.attribute("storage_order", int64_t{0}) != 0) call.unsupported("column-major indices");
  const Pooled at = pooled(call);
  Tensor out = Tensor::make<float>(at.dims), indices = Tensor::make<int64_t>(at.dims);
  const float* from = call.input(0).get<float>().data();
  auto values = out.edit<float>();
  auto places = indices.edit<int64_t>();
  std::fill(values.begin(), values.end(), -std::numeric_limits<float>::infinity());
  std::fill(places.begin(), places.end(), -1);
  for (int64_t tap = 0; tap < element_count(at.windows.kernel); ++tap) {
    const auto sources = tap_sources(at.windows, tap, 0, at.places);
    for (int64_t p = 0; p < at.planes; ++p) {
      for (size_t i = 0; i < sources.size(); ++i) {
        const auto to = static_cast<size_t>(p * at.places) + i;
        if (sources[i] < 0) continue;
        const float x = from[p * at.plane + sources[i]];
        if (places[to] >= 0 && !(x > values[to] || std::isnan(x))) continue;
        values[to] = x;
        places[to] = p * at.plane + sources[i];
      }
    }
  }
  call.set(0, out);
  call.set(1, indices);
}

// How many elements each window holds: those of the image, and with count_include_pad of its padding.
std::vector<double> window_sizes(const Windows& windows, bool include_padding) {
  std::vector<double> out(static_cast<size_t>(element_count(windows.out)), 1);
  const Dims strides = row_major(windows.out);
  for (size_t d = 0; d < windows.rank(); ++d) {
    const int64_t low = include_padding ? -windows.before[d] : 0;
    const int64_t high = windows.in[d] + (include_padding ? windows.after[d] : 0);
    for (size_t i = 0; i < out.size(); ++i) {
      const int64_t place = static_cast<int64_t>(i) / strides[d] % windows.out[d];
      int64_t count = 0;
      for (int64_t k = 0; k < windows.kernel[d]; ++k) {
        const int64_t at = windows.source(d, place, k);
        if (at >= low && at < high) ++count;
      }
      out[i] *= static_cast<double>(count);
    }
  }
  return out;
}

void average_pool(Call& call) {
  const Pooled at = pooled(call);
  const auto sizes = window_sizes(at.windows, call.attribute("count_include_pad", int64_t{0}) != 0);
  const float* from = call.input(0).get<float>().data();
  std::vector<double> sums(static_cast<size_t>(at.planes * at.places), 0);
  for (int64_t tap = 0; tap < element_count(at.windows.kernel); ++tap) {
    const auto sources = tap_sources(at.windows, tap, 0, at.places);
    for (int64_t p = 0; p < at.planes; ++p) {
      for (size_t i = 0; i < sources.size(); ++i) {
        if (sources[i] >= 0) sums[static_cast<size_t>(p * at.places) + i] += from[p * at.plane + sources[i]];
      }
    }
  }
  Tensor out = Tensor::make<float>(at.dims);
  auto to = out.edit<float>();
  for (size_t i = 0; i < sums.size(); ++i) to[i] = static_cast<float>(sums[i] / sizes[i % sizes.size()]);
  call.set(0, out);
}

// f(the elements of a channel)
template <typename F>
void global_pool(Call& call, const F& f) {
  const Tensor& in = call.input(0);
  call.require(in.rank() >= 2, "the input has no channels");
  Dims dims = in.dims();
  std::fill(dims.begin() + 2, dims.end(), 1);
  const auto plane = static_cast<size_t>(product(in.dims(), 2, in.rank()));
  Tensor out = Tensor::make<float>(dims);
  auto to = out.edit<float>();
  for (size_t i = 0; i < to.size(); ++i)
    to[i] = static_cast<float>(f(in.get<float>().subspan(i * plane, plane)));
  call.set(0, out);
}

void global_average_pool(Call& call) {
  global_pool(call, [](std::span<const float> plane) {
    double sum = 0;
    for (const float x : plane) sum += x;
    return sum / static_cast<double>(plane.size());
  });
}

void global_max_pool(Call& call) {
  global_pool(call, [](std::span<const float> plane) {
    float top = -std::numeric_limits<float>::infinity();
    for (const float x : plane) top = std::isnan(x) || x > top ? x : top;
    return top;
  });
}

constexpr Op kOps[] = {
    {"MaxPool", max_pool},
    {"AveragePool", average_pool},
    {"GlobalAveragePool", global_average_pool},
    {"GlobalMaxPool", global_max_pool},
};

}  // namespace

std::span<const Op> pooling_ops() {
  return kOps;
}

}  // namespace ferry::reference
