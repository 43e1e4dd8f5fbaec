#pragma once
// Histograms of activations, and the ranges that are read from them.
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ferry::passes {

/// How many numbers lie in each bin [edges[i], edges[i + 1]); the last bin holds its upper edge, too.
/// Edges and places are computed in f32, as numpy.histogram does for f32: counts are equal to its.
struct Histogram {
  std::vector<uint64_t> counts;
  std::vector<float> edges;
  bool uniform = true;  ///< Bins of one width.

  /// Empty bins of one width between two numbers (half a unit to either side if they are equal).
  static Histogram between(float low, float high, size_t bins);

  void count(std::span<const float> values);
  [[nodiscard]] uint64_t total() const;
};

/// The range that loses least when it is quantized: with the smallest relative entropy between the numbers
/// and the numbers in `quantized_bins` bins, of all ranges around the middle.
/// Source: onnxruntime 1.32, quantization/calibrate.py, HistogramCollector.get_entropy_threshold
std::pair<float, float> entropy_range(const Histogram& histogram, size_t quantized_bins);

/// The range that holds `percentile` percent of the numbers: cut on both sides, or, for a histogram of
/// absolute values, from 0 to either side.
std::pair<float, float> percentile_range(const Histogram& histogram, double percentile, bool absolute);

/// The sum in the order in which numpy adds f32.
float pairwise_sum(std::span<const float> values);

}  // namespace ferry::passes
