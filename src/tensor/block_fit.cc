#include "tensor/block_fit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace ferry {
namespace {

// Whole numbers as the compiler can make them several at a time: beyond this, f32 has no fractions.
constexpr float kNoFractions = 12582912.0f;

float rounded(float x) {
  return (x + kNoFractions) - kNoFractions;
}

struct Range {
  float low, high;
};

Range range_of(std::span<const float> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return {*low, *high};
}

Block nearest_symmetric(const Range& range, float middle) {
  const float extreme = std::abs(range.high) > std::abs(range.low) ? range.high : range.low;
  return {extreme / -middle, static_cast<uint8_t>(middle)};
}

Block nearest_asymmetric(const Range& range, float most) {
  const float least = std::min(range.low, 0.0f), scale = (std::max(range.high, 0.0f) - least) / most;
  const float zero = scale == 0 ? least : 0.0f - least / scale;
  return {scale, static_cast<uint8_t>(std::clamp(std::nearbyint(zero), 0.0f, most))};
}

// What is left of a block for one scale and zero point, and what the best scale for the same integers needs.
struct Fit {
  float error = 0;    // sum (w - scale d)^2, d = q - zero
  float product = 0;  // sum w d
  float square = 0;   // sum d^2
};

Fit measure(std::span<const float> values, const Block& block, float most) {
  constexpr size_t kLanes = 8;
  const float inverse = 1.0f / block.scale, zero = block.zero;
  std::array<float, kLanes> error{}, product{}, square{};
  const auto add = [&](size_t lane, float w) {
    const float q = rounded(std::min(std::max(w * inverse + zero, 0.0f), most));
    const float d = q - zero, left = w - block.scale * d;
    error[lane] += left * left;
    product[lane] += w * d;
    square[lane] += d * d;
  };
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) add(lane, values[i + lane]);
  }
  for (; i < values.size(); ++i) add(i % kLanes, values[i]);
  Fit out;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    out.error += error[lane];
    out.product += product[lane];
    out.square += square[lane];
  }
  return out;
}

// The best of what was tried; every try is followed by the scale that suits its integers best.
class Search {
 public:
  Search(std::span<const float> values, float most, const Block& first) : values_(values), most_(most) {
    best_ = first;
    if (first.scale != 0) least_ = measure(values_, first, most_).error;
  }

  void attempt(Block block) {
    constexpr int kRefinements = 2;
    for (int i = 0; i <= kRefinements && std::isnormal(block.scale); ++i) {
      const Fit fit = measure(values_, block, most_);
      if (fit.error < least_) {
        least_ = fit.error;
        best_ = block;
      } else if (i > 0) {
        return;
      }
      if (fit.square == 0) return;
      block.scale = fit.product / fit.square;
    }
  }
  [[nodiscard]] const Block& best() const { return best_; }

 private:
  std::span<const float> values_;
  float most_;
  Block best_;
  float least_ = 0;
};

Block least_squares(std::span<const float> values, const BlockFormat& format, float most) {
  constexpr int kSteps = 14;
  constexpr float kStep = 0.035f;
  const Range range = range_of(values);
  const float middle = static_cast<float>(1 << (format.bits - 1));
  const Block first = format.symmetric ? nearest_symmetric(range, middle) : nearest_asymmetric(range, most);
  Search search(values, most, first);
  // Symmetric ranges reach one step less on the one side: the extreme may lie there.
  const float widest = format.symmetric ? middle / (middle - 1) : 1.0f;
  for (int i = 0; i < kSteps; ++i) {
    const float part = widest - kStep * static_cast<float>(i);
    if (format.symmetric) {
      const Block narrow = nearest_symmetric({range.low * part, range.high * part}, middle);
      search.attempt(narrow);
      search.attempt({-narrow.scale, narrow.zero});  // The longer side of the range for the other extreme.
      continue;
    }
    search.attempt(nearest_asymmetric({range.low * part, range.high * part}, most));
    search.attempt(nearest_asymmetric({range.low * part, range.high}, most));
    search.attempt(nearest_asymmetric({range.low, range.high * part}, most));
  }
  return search.best();
}

// ---- half-quadratic

constexpr float kNorm = 0.7f;

float shrunk(float x, float beta) {
  const float size = std::abs(x);
  if (size == 0) return 0;
  return std::copysign(std::max(size - std::pow(size, kNorm - 1) / beta, 0.0f), x);
}

float integer_of(float w, float inverse, float zero, float most) {
  return rounded(std::min(std::max(w * inverse + zero, 0.0f), most));
}

float norm_of_error(std::span<const float> values, float scale, float zero, float most) {
  float sum = 0;
  for (const float w : values)
    sum += std::pow(std::abs(w - scale * (integer_of(w, 1 / scale, zero, most) - zero)), kNorm);
  return sum;
}

Block half_quadratic(std::span<const float> values, float most) {
  constexpr int kIterations = 20;
  constexpr float kKappa = 1.01f;
  const Block first = nearest_asymmetric(range_of(values), most);
  if (!std::isnormal(first.scale)) return first;
  const float inverse = 1 / first.scale;
  float beta = 10, zero = first.zero, best = zero, least = INFINITY;
  for (int i = 0; i < kIterations; ++i, beta *= kKappa) {
    float error = 0, next = 0;
    for (const float w : values) {
      // In steps of the scale, so that a matrix times a number gives the same integers.
      const float x = w * inverse, q = integer_of(w, inverse, zero, most), left = x - (q - zero);
      error += std::abs(left);
      next += q - (x - shrunk(left, beta));
    }
    if (!(error < least)) break;
    least = error;
    best = zero;
    zero = next / static_cast<float>(values.size());
  }
  Block out = first;
  float out_error = norm_of_error(values, first.scale, first.zero, most);
  for (const float candidate : {std::floor(best), std::ceil(best)}) {
    const float whole = std::clamp(candidate, 0.0f, most);
    const float error = norm_of_error(values, first.scale, whole, most);
    if (error < out_error) {
      out_error = error;
      out.zero = static_cast<uint8_t>(whole);
    }
  }
  return out;
}

}  // namespace

Block fit_block(std::span<const float> values, const BlockFormat& format) {
  const float most = static_cast<float>((1 << format.bits) - 1);
  switch (format.algorithm) {
    case BlockAlgorithm::mse:
      return least_squares(values, format, most);
    case BlockAlgorithm::hqq:
      return half_quadratic(values, most);
    case BlockAlgorithm::rtn:
      break;
  }
  const Range range = range_of(values);
  if (format.symmetric) return nearest_symmetric(range, static_cast<float>(1 << (format.bits - 1)));
  return nearest_asymmetric(range, most);
}

}  // namespace ferry
