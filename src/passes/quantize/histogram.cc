#include "passes/quantize/histogram.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace ferry::passes {
namespace {

// Sums of counts before each bin.
std::vector<uint64_t> running_sums(const std::vector<uint64_t>& counts) {
  std::vector<uint64_t> out(counts.size() + 1, 0);
  std::partial_sum(counts.begin(), counts.end(), out.begin() + 1);
  return out;
}

// Zeros get a little, taken from the others. Empty if there is nothing but zeros, or too many of them.
std::vector<float> smoothed(const std::vector<uint64_t>& counts) {
  constexpr double kLittle = 0.0001;
  const auto zeros = static_cast<double>(std::count(counts.begin(), counts.end(), 0u));
  const double others = static_cast<double>(counts.size()) - zeros;
  if (others == 0 || kLittle * zeros / others >= 1) return {};
  const auto taken = static_cast<float>(-(kLittle * zeros / others));
  std::vector<float> out;
  for (const uint64_t count : counts)
    out.push_back(static_cast<float>(count) + (count == 0 ? static_cast<float>(kLittle) : taken));
  return out;
}

float relative_entropy(std::vector<float> p, std::vector<float> q) {
  const float p_sum = pairwise_sum(p), q_sum = pairwise_sum(q);
  for (size_t i = 0; i < p.size(); ++i) {
    const float from = p[i] / p_sum, to = q[i] / q_sum;
    p[i] = from * std::log(from / to);
  }
  return pairwise_sum(p);
}

// The counts of a stretch of bins, with all that lies outside at its ends, against the same in
// `quantized_bins` bins, each spread evenly over those of its bins that hold something.
class Candidate {
 public:
  Candidate(const std::vector<uint64_t>& counts, const std::vector<uint64_t>& sums, size_t start, size_t end)
      : sums_(sums),
        start_(start),
        p_(counts.begin() + static_cast<std::ptrdiff_t>(start),
           counts.begin() + static_cast<std::ptrdiff_t>(end)) {
    p_.front() += sums[start];
    p_.back() += sums.back() - sums[end];
  }

  [[nodiscard]] float divergence(size_t quantized_bins) const {
    const std::vector<float> p = smoothed(p_), q = smoothed(quantized(quantized_bins));
    if (p.empty() || q.empty()) return INFINITY;
    return relative_entropy(p, q);
  }

 private:
  [[nodiscard]] std::vector<uint64_t> quantized(size_t bins) const {
    std::vector<uint64_t> out(p_.size(), 0);
    const size_t width = p_.size() / bins;
    for (size_t bin = 0; bin < bins; ++bin) {
      const size_t first = bin * width, last = first + width;
      const size_t counted = bin + 1 == bins ? p_.size() : last;  // The last one holds the rest.
      const uint64_t held = sums_[start_ + counted] - sums_[start_ + first];
      uint64_t places = 0;
      for (size_t i = first; i < last; ++i) places += p_[i] != 0 ? 1 : 0;
      if (places > 0)
        std::fill(out.begin() + static_cast<std::ptrdiff_t>(first),
                  out.begin() + static_cast<std::ptrdiff_t>(last), held / places);
    }
    return out;
  }

  const std::vector<uint64_t>& sums_;
  size_t start_;
  std::vector<uint64_t> p_;
};

}  // namespace

Histogram Histogram::between(float low, float high, size_t bins) {
  if (low == high) {
    low -= 0.5f;
    high += 0.5f;
  }
  Histogram out;
  out.counts.resize(bins, 0);
  const float step = (high - low) / static_cast<float>(bins);
  for (size_t i = 0; i < bins; ++i) out.edges.push_back(static_cast<float>(i) * step + low);
  out.edges.push_back(high);
  return out;
}

void Histogram::count(std::span<const float> values) {
  const float low = edges.front(), high = edges.back(), width = high - low;
  const size_t last = counts.size() - 1;
  const auto bins = static_cast<float>(counts.size());
  for (const float x : values) {
    if (!(x >= low && x <= high)) continue;
    size_t at;
    if (uniform) {
      at = std::min(static_cast<size_t>((x - low) / width * bins), last);
      if (x < edges[at] && at > 0) --at;
      if (at != last && x >= edges[at + 1]) ++at;
    } else {
      const auto above = std::upper_bound(edges.begin(), edges.end(), x);
      at = std::min(static_cast<size_t>(above - edges.begin()) - 1, last);
    }
    ++counts[at];
  }
}

uint64_t Histogram::total() const {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

float pairwise_sum(std::span<const float> values) {
  constexpr size_t kLanes = 8, kBlock = 128;
  if (values.size() < kLanes) return std::accumulate(values.begin(), values.end(), 0.0f);
  if (values.size() > kBlock) {
    size_t half = values.size() / 2;
    half -= half % kLanes;
    return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
  }
  std::array<float, kLanes> r{};
  std::copy_n(values.begin(), kLanes, r.begin());
  size_t i = kLanes;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) r[lane] += values[i + lane];
  }
  float sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  for (; i < values.size(); ++i) sum += values[i];
  return sum;
}

std::pair<float, float> entropy_range(const Histogram& histogram, size_t quantized_bins) {
  const size_t bins = histogram.counts.size(), middle = bins / 2;
  const auto sums = running_sums(histogram.counts);
  std::pair<float, float> best = {0.0f, 0.0f};
  double least = 0;
  for (size_t reach = quantized_bins / 2; reach <= middle; ++reach) {
    const size_t start = middle - reach, end = std::min(middle + reach + 1, bins);
    const double divergence = Candidate(histogram.counts, sums, start, end).divergence(quantized_bins);
    if (reach > quantized_bins / 2 && divergence >= least) continue;
    least = divergence;
    best = {histogram.edges[start], histogram.edges[end]};
  }
  return best;
}

std::pair<float, float> percentile_range(const Histogram& histogram, double percentile, bool absolute) {
  const auto total = static_cast<double>(histogram.total());
  if (total == 0) return {0.0f, 0.0f};
  std::vector<double> shares;
  double share = 0;
  for (const uint64_t count : histogram.counts) shares.push_back(share += static_cast<double>(count) / total);
  const auto edge_at = [&](double wanted) {
    const auto found = std::lower_bound(shares.begin(), shares.end(), wanted);
    return histogram.edges[static_cast<size_t>(found - shares.begin())];
  };
  if (absolute) {
    const float edge = edge_at(percentile / 100);
    return {-edge, edge};
  }
  const double cut = (100 - percentile) / 200;
  return {edge_at(cut), edge_at(1 - cut)};
}

}  // namespace ferry::passes
