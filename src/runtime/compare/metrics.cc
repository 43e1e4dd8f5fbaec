#include "runtime/compare/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace ferry::runtime {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The tensor itself, or its numbers in f32 in `room`.
const HostTensor& in_f32(const HostTensor& tensor, HostTensor& room) {
  if (tensor.dtype == DType::f32) return tensor;
  room = tensor.to_f32();
  return room;
}

// log(sum(exp(x)))
double log_sum(std::span<const float> x) {
  const double largest = *std::max_element(x.begin(), x.end());
  if (!std::isfinite(largest)) return largest;
  double sum = 0;
  for (const float value : x) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

// KL(softmax(a) || softmax(b))
double divergence(std::span<const float> a, std::span<const float> b) {
  const double of_a = log_sum(a), of_b = log_sum(b);
  double out = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double log_p = a[i] - of_a, p = std::exp(log_p);
    // A logit of -inf is a probability of 0, which adds nothing.
    if (p > 0) out += p * (log_p - (b[i] - of_b));
  }
  return std::isnan(out) ? kInfinity : std::max(out, 0.0);
}

double cosine(double product, double a, double b) {
  if (a == 0 || b == 0) return a == b ? 1 : 0;
  const double out = product / std::sqrt(a * b);
  return std::isnan(out) ? -1 : std::clamp(out, -1.0, 1.0);
}

bool has_numbers(DType dtype) {
  return is_floating(dtype) || is_integer(dtype) || dtype == DType::boolean;
}

}  // namespace

bool holds_logits(std::string_view name) {
  return name.find("logits") != std::string_view::npos;
}

void ErrorSum::add(const HostTensor& a, const HostTensor& b, bool logits) {
  if (a.dims != b.dims) {
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("the models give {} and {}", to_string(a.dims), to_string(b.dims)));
  }
  if (!has_numbers(a.dtype) || !has_numbers(b.dtype) || a.count() == 0) return;
  HostTensor room_a, room_b;
  const auto x = in_f32(a, room_a).as<float>(), y = in_f32(b, room_b).as<float>();
  double product = 0, of_x = 0, of_y = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    // Masks of -inf are alike.
    const double difference = x[i] == y[i] ? 0 : std::abs(double{x[i]} - y[i]);
    largest_ = std::max(largest_, std::isnan(difference) ? kInfinity : difference);
    absolute_ += difference;
    squared_ += difference * difference;
    if (std::isinf(x[i]) && x[i] == y[i]) continue;
    product += double{x[i]} * y[i];
    of_x += double{x[i]} * x[i];
    of_y += double{y[i]} * y[i];
  }
  length_ += of_x;
  const double alike = cosine(product, of_x, of_y);
  cosines_ += alike;
  least_ = std::min(least_, alike);
  values_ += x.size();
  ++samples_;
  const size_t columns = a.dims.empty() ? 1 : static_cast<size_t>(a.dims.back());
  const bool planes = a.dims.size() == 4;  // Labels of pixels lie along another axis.
  if (!logits || planes || columns < 2) return;
  for (size_t row = 0; row < x.size(); row += columns, ++rows_)
    divergence_ += divergence(x.subspan(row, columns), y.subspan(row, columns));
}

ErrorFigures ErrorSum::figures() const {
  ErrorFigures out;
  if (samples_ == 0) return out;
  out.max_difference = largest_;
  out.mean_difference = absolute_ / static_cast<double>(values_);
  out.relative = squared_ == 0 ? 0 : std::sqrt(squared_ / length_);
  out.cosine = cosines_ / static_cast<double>(samples_);
  out.least_cosine = least_;
  if (rows_ > 0) out.kl = divergence_ / static_cast<double>(rows_);
  return out;
}

}  // namespace ferry::runtime
