#include "processors/resample.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/error.h"

namespace ferry {
namespace processors {
namespace {

constexpr double kPi = 3.14159265358979323846;

double sinc(double x) {
  return x == 0.0 ? 1.0 : std::sin(x * kPi) / (x * kPi);
}

struct Filter {
  double support;  // Half the width, in pixels of the smaller side.
  double (*at)(double);
};

double box(double x) {
  return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}
double triangle(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}
double hamming(double x) {
  x = std::abs(x);
  if (x == 0.0) return 1.0;
  if (x >= 1.0) return 0.0;
  return sinc(x) * (0.54 + 0.46 * std::cos(x * kPi));
}
// Keys' cubic with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}
double lanczos(double x) {
  return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

Filter filter_of(Resampling filter) {
  switch (filter) {
    case Resampling::lanczos:
      return {3.0, lanczos};
    case Resampling::bicubic:
      return {2.0, cubic};
    case Resampling::box:
      return {0.5, box};
    case Resampling::hamming:
      return {1.0, hamming};
    case Resampling::nearest:
    case Resampling::bilinear:
      break;
  }
  return {1.0, triangle};
}

const Kernels& kernels() {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2") != 0;
  if (wide) return kAvx2Kernels;
#endif
  return kPlainKernels;
}

Image empty_image(uint32_t width, uint32_t height) {
  Image out;
  out.width = width;
  out.height = height;
  out.rgb.resize(size_t{width} * height * 3);
  return out;
}

// Positions are summed up, as Pillow does: where one falls on the edge of a pixel the sums decide.
std::vector<size_t> nearest_pixels(uint32_t from, uint32_t to) {
  const double step = static_cast<double>(from) / to;
  std::vector<size_t> out(to);
  double at = step * 0.5;
  for (auto& pixel : out) {
    pixel = std::min<size_t>(static_cast<size_t>(at), from - 1);
    at += step;
  }
  return out;
}

Image resize_nearest(const Image& image, uint32_t width, uint32_t height) {
  Image out = empty_image(width, height);
  const auto columns = nearest_pixels(image.width, width);
  const auto lines = nearest_pixels(image.height, height);
  uint8_t* to = out.rgb.data();
  for (const size_t y : lines) {
    const uint8_t* line = &image.rgb[y * image.width * 3];
    for (const size_t x : columns) {
      std::memcpy(to, line + x * 3, 3);
      to += 3;
    }
  }
  return out;
}

Image resize_width(const Image& image, uint32_t width, Resampling filter) {
  const Weights weights = make_weights(image.width, width, filter);
  const size_t stride = (weights.stride * 3 + kLanes - 1) / kLanes * kLanes;
  std::vector<int32_t> repeated(stride * width);
  for (size_t x = 0; x < width; ++x) {
    for (size_t i = 0; i < weights.spans[x].count * 3; ++i)
      repeated[x * stride + i] = weights.values[x * weights.stride + i / 3];
  }
  Image out = empty_image(width, image.height);
  const size_t row = size_t{image.width} * 3;
  std::vector<uint8_t> line(row + kLanes);
  for (size_t y = 0; y < image.height; ++y) {
    std::memcpy(line.data(), &image.rgb[y * row], row);
    kernels().horizontal(line.data(), weights.spans.data(), width, repeated.data(), stride,
                         &out.rgb[y * width * 3]);
  }
  return out;
}

Image resize_height(const Image& image, uint32_t height, Resampling filter) {
  const Weights weights = make_weights(image.height, height, filter);
  Image out = empty_image(image.width, height);
  const size_t row = size_t{image.width} * 3;
  for (size_t y = 0; y < height; ++y) {
    const auto& span = weights.spans[y];
    kernels().vertical(&image.rgb[span.first * row], row, &weights.values[y * weights.stride], span.count,
                       row, &out.rgb[y * row]);
  }
  return out;
}

}  // namespace

Weights make_weights(uint32_t from, uint32_t to, Resampling filter) {
  const auto [support, at] = filter_of(filter);
  const double scale = static_cast<double>(from) / to;
  const double stretch = std::max(scale, 1.0);
  const double reach = support * stretch;
  Weights out;
  out.stride = static_cast<size_t>(std::ceil(reach)) * 2 + 1;
  out.spans.resize(to);
  out.values.resize(out.stride * to);
  std::vector<double> exact(out.stride);
  for (size_t x = 0; x < to; ++x) {
    const double centre = (static_cast<double>(x) + 0.5) * scale;
    const auto first = static_cast<size_t>(std::max(centre - reach + 0.5, 0.0));
    const auto last = std::min(static_cast<size_t>(centre + reach + 0.5), size_t{from});
    const size_t count = last - first;
    double sum = 0;
    for (size_t i = 0; i < count; ++i) {
      exact[i] = at((static_cast<double>(i + first) - centre + 0.5) * (1.0 / stretch));
      sum += exact[i];
    }
    for (size_t i = 0; i < count; ++i) {
      const double weight = (sum != 0.0 ? exact[i] / sum : exact[i]) * (1 << kWeightBits);
      out.values[x * out.stride + i] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    out.spans[x] = {static_cast<uint32_t>(first), static_cast<uint32_t>(count)};
  }
  return out;
}

}  // namespace processors

Image resize(const Image& image, uint32_t width, uint32_t height, Resampling filter) {
  constexpr uint64_t kMostPixels = 178'956'970, kLongest = 1 << 18;
  if (image.rgb.empty() || image.rgb.size() != size_t{image.width} * image.height * 3)
    throw Error(ErrorCode::usage, "an empty image cannot be resized");
  if (width == 0 || height == 0 || uint64_t{width} * height > kMostPixels ||
      uint64_t{width} * image.height > kMostPixels || width > kLongest || height > kLongest) {
    throw Error(ErrorCode::usage, fmt::format("an image of {} x {} pixels cannot be resized to {} x {}",
                                              image.width, image.height, width, height));
  }
  if (width == image.width && height == image.height) return image;
  if (filter == Resampling::nearest) return processors::resize_nearest(image, width, height);
  using processors::resize_height, processors::resize_width;
  if (width == image.width) return resize_height(image, height, filter);
  if (height == image.height) return resize_width(image, width, filter);
  // Sums are rounded between the passes, so their order shows: Pillow 13 begins with the height where that
  // shrinks by more than twice as many pixels as the width.
  const int64_t narrower = int64_t{image.width} - width, lower = int64_t{image.height} - height;
  return lower > 0 && lower > 2 * narrower
             ? resize_width(resize_height(image, height, filter), width, filter)
             : resize_height(resize_width(image, width, filter), height, filter);
}

}  // namespace ferry
