// GridSample: an image read at places that a grid gives in [-1, 1].
#include <algorithm>
#include <cmath>

#include "reference/call.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

enum class Padding { zeros, border, reflection };

struct Sampler {
  Dims sizes;  // Spatial dimensions of the image.
  Padding padding = Padding::zeros;
  bool align_corners = false;

  // From [-1, 1] to elements of dimension d.
  [[nodiscard]] double place(size_t d, double x) const {
    const auto size = static_cast<double>(sizes[d]);
    return align_corners ? (x + 1) / 2 * (size - 1) : ((x + 1) * size - 1) / 2;
  }

  // A place outside moved to where the padding says.
  [[nodiscard]] double padded(size_t d, double x) const {
    const auto size = static_cast<double>(sizes[d]);
    if (padding == Padding::border) return std::clamp(x, 0.0, size - 1);
    if (padding == Padding::zeros) return x;
    const double low = align_corners ? 0 : -0.5, high = align_corners ? size - 1 : size - 0.5;
    const double range = high - low;
    if (range <= 0) return 0;
    double within = std::fmod(std::abs(x - low), 2 * range);
    if (within > range) within = 2 * range - within;
    return std::clamp(low + within, 0.0, size - 1);
  }

  // The element at whole coordinates; beyond the image what the padding says.
  [[nodiscard]] double element(const float* image, const Dims& at) const {
    int64_t offset = 0;
    for (size_t d = 0; d < sizes.size(); ++d) {
      int64_t i = at[d];
      if (i < 0 || i >= sizes[d]) {
        if (padding == Padding::zeros) return 0;
        i = std::llround(padded(d, static_cast<double>(i)));
      }
      offset = offset * sizes[d] + i;
    }
    return image[offset];
  }

  // The weighted sum over `taps` neighbours a dimension, from `first` on.
  [[nodiscard]] double weighted(const float* image, const Dims& first,
                                const std::vector<std::vector<double>>& weights) const {
    const size_t taps = weights[0].size();
    Dims at = first;
    double sum = 0;
    size_t all = 1;
    for (size_t d = 0; d < sizes.size(); ++d) all *= taps;
    for (size_t n = 0; n < all; ++n) {
      double weight = 1;
      size_t rest = n;
      for (size_t d = sizes.size(); d-- > 0; rest /= taps) {
        at[d] = first[d] + static_cast<int64_t>(rest % taps);
        weight *= weights[d][rest % taps];
      }
      if (weight != 0) sum += weight * element(image, at);
    }
    return sum;
  }
};

double cubic(double x) {
  constexpr double a = -0.75;
  x = std::abs(x);
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

// How a place reads the image: the first neighbour, and the weights of it and those behind.
struct Reading {
  Dims first;
  std::vector<std::vector<double>> weights;
};

Reading reading_of(const Sampler& sampler, const std::string& mode, const std::vector<double>& places) {
  Reading out;
  for (size_t d = 0; d < places.size(); ++d) {
    if (mode == "cubic") {
      const double low = std::floor(places[d]), t = places[d] - low;
      out.first.push_back(static_cast<int64_t>(low) - 1);
      out.weights.push_back({cubic(1 + t), cubic(t), cubic(1 - t), cubic(2 - t)});
      continue;
    }
    const double x = sampler.padded(d, places[d]);
    if (mode == "nearest") {
      out.first.push_back(static_cast<int64_t>(std::nearbyint(x)));
      out.weights.push_back({1});
    } else {
      const double low = std::floor(x);
      out.first.push_back(static_cast<int64_t>(low));
      out.weights.push_back({1 - (x - low), x - low});
    }
  }
  return out;
}

// The names of opset 16 are those of opset 20 for images.
std::string mode_of(Call& call) {
  const std::string mode = call.attribute("mode", "linear");
  if (mode == "bilinear") return "linear";
  if (mode == "bicubic") return "cubic";
  if (mode != "linear" && mode != "cubic" && mode != "nearest") call.unsupported("the mode " + mode);
  return mode;
}

Sampler sampler_of(Call& call, const Dims& image) {
  Sampler out;
  out.sizes.assign(image.begin() + 2, image.end());
  out.align_corners = call.attribute("align_corners", int64_t{0}) != 0;
  const std::string padding = call.attribute("padding_mode", "zeros");
  if (padding == "border") {
    out.padding = Padding::border;
  } else if (padding == "reflection") {
    out.padding = Padding::reflection;
  } else if (padding != "zeros") {
    call.unsupported("the padding " + padding);
  }
  return out;
}

void grid_sample(Call& call) {
  const Tensor& in = call.input(0);
  const Tensor& grid = call.input(1);
  const size_t rank = in.rank() - 2;
  call.require(in.rank() >= 3 && grid.rank() == in.rank() && grid.dim(0) == in.dim(0) &&
                   grid.dims().back() == static_cast<int64_t>(rank),
               "the grid does not fit the image");
  const std::string mode = mode_of(call);
  const Sampler sampler = sampler_of(call, in.dims());
  Dims dims = {in.dim(0), in.dim(1)};
  dims.insert(dims.end(), grid.dims().begin() + 1, grid.dims().end() - 1);
  const int64_t channels = in.dim(1), points = product(dims, 2, dims.size());
  const int64_t plane = element_count(sampler.sizes);
  Tensor out = Tensor::make<float>(dims);
  const float* image = in.get<float>().data();
  const float* where = grid.get<float>().data();
  float* to = out.edit<float>().data();
  in_blocks(in.dim(0) * points, channels * 32, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / points, point = i % points;
      std::vector<double> places;
      // The grid names the last dimension first.
      for (size_t d = 0; d < rank; ++d)
        places.push_back(
            sampler.place(d, where[i * static_cast<int64_t>(rank) + static_cast<int64_t>(rank - 1 - d)]));
      const Reading reading = reading_of(sampler, mode, places);
      for (int64_t c = 0; c < channels; ++c) {
        to[(n * channels + c) * points + point] = static_cast<float>(
            sampler.weighted(image + (n * channels + c) * plane, reading.first, reading.weights));
      }
    }
  });
  call.set(0, out);
}

constexpr Op kOps[] = {{"GridSample", grid_sample}};

}  // namespace

std::span<const Op> grid_sample_ops() {
  return kOps;
}

}  // namespace ferry::reference
