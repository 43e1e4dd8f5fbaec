// Resize, one axis after the other: every mode is separable. Coordinates are computed in f32, as runtimes and
// PyTorch do, so that a place that falls on an edge falls to the same side.
#include <algorithm>
#include <cmath>

#include "reference/call.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

struct Axis {
  size_t axis;
  int64_t in, out;
  float scale;
  float roi_begin = 0, roi_end = 1;
};

// What a place of the result takes of the axis.
struct Taps {
  std::vector<int64_t> sources;
  std::vector<double> weights;
  bool outside = false;  // The extrapolation value is taken instead.
};

struct Method {
  std::string mode, coordinates, nearest;
  double cubic = -0.75;
  bool exclude_outside = false, antialias = false;
};

float original_place(Call& call, const Method& method, const Axis& axis, int64_t place) {
  const auto x = static_cast<float>(place);
  const auto in = static_cast<float>(axis.in), out = static_cast<float>(axis.out);
  const std::string& how = method.coordinates;
  if (how == "half_pixel") return (x + 0.5f) / axis.scale - 0.5f;
  if (how == "pytorch_half_pixel") return axis.out > 1 ? (x + 0.5f) / axis.scale - 0.5f : 0.0f;
  if (how == "asymmetric") return x / axis.scale;
  if (how == "align_corners") return axis.out == 1 ? 0.0f : x * (in - 1) / (out - 1);
  if (how == "half_pixel_symmetric") {
    const float adjustment = out / (axis.scale * in);
    return in / 2 * (1 - adjustment) + (x + 0.5f) / axis.scale - 0.5f;
  }
  if (how != "tf_crop_and_resize") call.unsupported("the coordinates " + how);
  if (axis.out == 1) return 0.5f * (axis.roi_begin + axis.roi_end) * (in - 1);
  return axis.roi_begin * (in - 1) + x * (axis.roi_end - axis.roi_begin) * (in - 1) / (out - 1);
}

int64_t rounded(Call& call, const std::string& how, float x) {
  if (how == "round_prefer_floor") return static_cast<int64_t>(std::ceil(x - 0.5f));
  if (how == "round_prefer_ceil") return static_cast<int64_t>(std::floor(x + 0.5f));
  if (how == "floor") return static_cast<int64_t>(std::floor(x));
  if (how == "ceil") return static_cast<int64_t>(std::ceil(x));
  call.unsupported("the rounding " + how);
}

double triangle(double x) {
  return std::max(0.0, 1 - std::abs(x));
}

double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

// The elements around x, weighted by their distance; a filter that shrinks an image reaches further.
Taps filtered(const Method& method, const Axis& axis, float x) {
  const double shrink = method.antialias ? std::min<double>(1, axis.scale) : 1;
  const bool is_cubic = method.mode == "cubic";
  const double reach = (is_cubic ? 2 : 1) / shrink;
  Taps out;
  double sum = 0;
  const auto first = static_cast<int64_t>(std::floor(x - reach)) + 1;
  const auto last = static_cast<int64_t>(std::ceil(x + reach)) - 1;
  for (int64_t i = first; i <= last; ++i) {
    const bool outside = i < 0 || i >= axis.in;
    if (outside && method.exclude_outside) continue;
    const double distance = (static_cast<double>(i) - x) * shrink;
    out.sources.push_back(std::clamp<int64_t>(i, 0, axis.in - 1));
    out.weights.push_back(is_cubic ? cubic(distance, method.cubic) : triangle(distance));
    sum += out.weights.back();
  }
  for (double& weight : out.weights) weight /= sum;
  return out;
}

std::vector<Taps> taps_of(Call& call, const Method& method, const Axis& axis) {
  std::vector<Taps> out;
  for (int64_t place = 0; place < axis.out; ++place) {
    const float x = original_place(call, method, axis, place);
    Taps taps;
    if (method.coordinates == "tf_crop_and_resize" && (x < 0 || x > static_cast<float>(axis.in - 1))) {
      taps.outside = true;
    } else if (method.mode == "nearest") {
      // A scale of 1 moves nothing, whatever the rounding of its f32 coordinates.
      const int64_t at = axis.scale == 1 && method.coordinates != "tf_crop_and_resize"
                             ? place
                             : rounded(call, method.nearest, x);
      taps = {{std::clamp<int64_t>(at, 0, axis.in - 1)}, {1}};
    } else {
      taps = filtered(method, axis, x);
    }
    out.push_back(std::move(taps));
  }
  return out;
}

template <typename T>
Tensor resized(const Tensor& in, const Axis& axis, const std::vector<Taps>& taps, T extrapolation) {
  Dims dims = in.dims();
  dims[axis.axis] = axis.out;
  const int64_t outer = product(dims, 0, axis.axis), inner = product(dims, axis.axis + 1, dims.size());
  Tensor out = Tensor::make<T>(dims);
  const T* from = in.get<T>().data();
  T* to = out.edit<T>().data();
  in_blocks(outer, axis.out * inner * 4, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      for (int64_t place = 0; place < axis.out; ++place) {
        const Taps& at = taps[static_cast<size_t>(place)];
        T* row = to + (o * axis.out + place) * inner;
        for (int64_t i = 0; i < inner; ++i) {
          if (at.outside) {
            row[i] = extrapolation;
          } else if (at.sources.size() == 1) {
            row[i] = from[(o * axis.in + at.sources[0]) * inner + i];
          } else {
            double sum = 0;
            for (size_t t = 0; t < at.sources.size(); ++t)
              sum += at.weights[t] * static_cast<double>(from[(o * axis.in + at.sources[t]) * inner + i]);
            row[i] = static_cast<T>(sum);
          }
        }
      }
    }
  });
  return out;
}

// Where sizes must keep the image's shape, they are only bounds.
void keep_aspect_ratio(Call& call, std::vector<Axis>& axes) {
  const std::string policy = call.attribute("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch" || axes.empty()) return;
  const auto by_scale = [](const Axis& a, const Axis& b) { return a.scale < b.scale; };
  const float scale = policy == "not_larger" ? std::min_element(axes.begin(), axes.end(), by_scale)->scale
                                             : std::max_element(axes.begin(), axes.end(), by_scale)->scale;
  for (Axis& axis : axes) {
    axis.scale = scale;
    axis.out = static_cast<int64_t>(std::floor(scale * static_cast<float>(axis.in) + 0.5f));
  }
}

std::vector<Axis> resized_axes(Call& call, const Dims& dims) {
  std::vector<int64_t> names;
  for (size_t i = 0; i < dims.size(); ++i) names.push_back(static_cast<int64_t>(i));
  names = call.attribute("axes", names);
  std::vector<Axis> axes;
  const bool by_size = call.has(3);
  const bool crops = call.attribute("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize";
  call.require(!crops || call.input(1).count() == 2 * names.size(), "the region has another rank");
  const size_t count = by_size ? call.input(3).count() : call.input(2).count();
  call.require(count == names.size(), "there is not one size or scale an axis");
  for (size_t i = 0; i < names.size(); ++i) {
    Axis axis{call.axis(names[i], dims.size()), 0, 0, 1};
    axis.in = dims[axis.axis];
    call.require(axis.in > 0, "an empty axis cannot be resized");
    if (crops) {
      axis.roi_begin = call.input(1).get<float>()[i];
      axis.roi_end = call.input(1).get<float>()[i + names.size()];
    }
    if (by_size) {
      axis.out = call.input(3).get<int64_t>()[i];
      axis.scale = static_cast<float>(axis.out) / static_cast<float>(axis.in);
    } else {
      axis.scale = call.input(2).get<float>()[i];
      const float extent = axis.roi_end - axis.roi_begin;
      axis.out = static_cast<int64_t>(std::floor(static_cast<float>(axis.in) * extent * axis.scale));
    }
    axes.push_back(axis);
  }
  if (by_size) keep_aspect_ratio(call, axes);
  return axes;
}

void resize(Call& call) {
  Method method;
  method.mode = call.attribute("mode", "nearest");
  method.coordinates = call.attribute("coordinate_transformation_mode", "half_pixel");
  method.nearest = call.attribute("nearest_mode", "round_prefer_floor");
  method.cubic = call.attribute("cubic_coeff_a", -0.75f);
  method.exclude_outside = call.attribute("exclude_outside", int64_t{0}) != 0;
  method.antialias = call.attribute("antialias", int64_t{0}) != 0;
  if (method.mode != "nearest" && method.mode != "linear" && method.mode != "cubic")
    call.unsupported("the mode " + method.mode);
  const float extrapolation = call.attribute("extrapolation_value", 0.0f);
  const auto axes = resized_axes(call, call.input(0).dims());
  Tensor out = call.input(0);
  if (out.kind() != Kind::real && method.mode != "nearest") call.unsupported("interpolation of integers");
  for (const Axis& axis : axes) {
    const bool crops =
        method.coordinates == "tf_crop_and_resize" && (axis.roi_begin != 0 || axis.roi_end != 1);
    if (axis.in == axis.out && axis.scale == 1 && !crops) continue;
    const auto taps = taps_of(call, method, axis);
    out = for_kind(out.kind(), [&]<typename T>(std::type_identity<T>) {
      return resized<T>(out, axis, taps, static_cast<T>(extrapolation));
    });
  }
  call.set(0, out);
}

constexpr Op kOps[] = {{"Resize", resize}};

}  // namespace

std::span<const Op> resize_ops() {
  return kOps;
}

}  // namespace ferry::reference
