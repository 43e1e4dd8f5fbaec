#include "passes/quantize/calibration.h"

#include <algorithm>
#include <cmath>

namespace ferry::passes {
namespace {

// Bins that a batch may add: numbers far beyond those of the first would ask for bins without end.
constexpr size_t kMostBins = 1 << 14;

float mean(const std::vector<float>& values) {
  return pairwise_sum(values) / static_cast<float>(values.size());
}

}  // namespace

void RangeCollector::look(std::span<const float> values) {
  float low = INFINITY, high = -INFINITY, least = INFINITY;
  for (const float x : values) {
    low = x < low ? x : low;
    high = x > high ? x : high;
    const float size = std::abs(x);
    least = size < least ? size : least;
  }
  if (low > high) return;  // No numbers.
  least_size_ = lows_.empty() ? least : std::min(least_size_, least);
  lows_.push_back(low);
  highs_.push_back(high);
}

void RangeCollector::end_looks() {
  if (lows_.empty()) return;
  if (needs_counts()) absolute() ? make_room_for_absolutes() : make_room_for_values();
  merge_extremes();
  lows_.clear();
  highs_.clear();
}

void RangeCollector::merge_extremes() {
  const bool mean_of_samples = !needs_counts() && options_.moving_average;
  Extremes batch = {*std::min_element(lows_.begin(), lows_.end()),
                    *std::max_element(highs_.begin(), highs_.end())};
  if (mean_of_samples) batch = {mean(lows_), mean(highs_)};
  if (!needs_counts() && options_.symmetric) {
    batch.high = std::max(std::abs(batch.low), std::abs(batch.high));
    batch.low = -batch.high;
  }
  if (!all_) {
    all_ = batch;
  } else if (mean_of_samples) {
    all_->low += options_.averaging_constant * (batch.low - all_->low);
    all_->high += options_.averaging_constant * (batch.high - all_->high);
  } else {
    all_ = Extremes{std::min(all_->low, batch.low), std::max(all_->high, batch.high)};
  }
}

// Around 0, as wide as the batch asks for: bins of the same width are added on both sides.
void RangeCollector::make_room_for_values() {
  const float low = *std::min_element(lows_.begin(), lows_.end());
  const float high = *std::max_element(highs_.begin(), highs_.end());
  const float threshold = std::max(std::abs(low), std::abs(high));
  if (!std::isfinite(threshold)) return;
  if (!histogram_) {
    histogram_ = Histogram::between(-threshold, threshold, options_.num_bins);
    threshold_ = threshold;
    return;
  }
  if (threshold <= threshold_) return;
  const size_t bins = histogram_->counts.size();
  size_t more = 0;
  float wider = threshold;
  if (threshold_ > 0) {
    const float width = 2 * threshold_ / static_cast<float>(bins);
    more = static_cast<size_t>(std::floor((threshold - threshold_) / width)) + 1;
    if (more > kMostBins) return;
    wider = static_cast<float>(more) * width + threshold_;
  }
  Histogram grown = Histogram::between(-wider, wider, bins + 2 * more);
  std::copy(histogram_->counts.begin(), histogram_->counts.end(),
            grown.counts.begin() + static_cast<std::ptrdiff_t>(more));
  histogram_ = std::move(grown);
  threshold_ = wider;
}

// From the least size to the largest: bins are added above.
void RangeCollector::make_room_for_absolutes() {
  float most = 0;
  for (size_t i = 0; i < lows_.size(); ++i) most = std::max({most, std::abs(lows_[i]), std::abs(highs_[i])});
  if (!std::isfinite(most)) return;
  if (!histogram_) {
    histogram_ = Histogram::between(least_size_, most, options_.num_bins);
    return;
  }
  std::vector<float>& edges = histogram_->edges;
  if (most <= edges.back()) return;
  const float width = edges[1] - edges[0], first = edges.back() + width;
  const double length = std::ceil((static_cast<double>(most + width) - static_cast<double>(first)) /
                                  static_cast<double>(width));
  if (!(length <= static_cast<double>(kMostBins))) return;
  const float step = (first + width) - first;
  const auto more = static_cast<size_t>(std::max(length, 0.0));
  for (size_t i = 0; i < more; ++i) edges.push_back(first + static_cast<float>(i) * step);
  histogram_->counts.resize(edges.size() - 1, 0);
  histogram_->uniform = false;
}

void RangeCollector::count(std::span<const float> values) {
  if (!histogram_) return;
  if (!absolute()) return histogram_->count(values);
  std::vector<float> sizes(values.begin(), values.end());
  for (float& size : sizes) size = std::abs(size);
  histogram_->count(sizes);
}

std::optional<std::pair<float, float>> RangeCollector::range() const {
  if (!all_) return std::nullopt;
  std::pair<float, float> out = {all_->low, all_->high};
  if (!histogram_ || !std::isfinite(all_->low) || !std::isfinite(all_->high)) return out;
  out = options_.method == RangeMethod::entropy
            ? entropy_range(*histogram_, options_.num_quantized_bins)
            : percentile_range(*histogram_, options_.percentile, absolute());
  return std::pair{std::max(out.first, all_->low), std::min(out.second, all_->high)};
}

}  // namespace ferry::passes
