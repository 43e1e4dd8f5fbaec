#pragma once
// The range of one tensor, collected from its numbers on samples.
// Source: onnxruntime 1.32, quantization/calibrate.py
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "passes/quantize/histogram.h"

namespace ferry::passes {

enum class RangeMethod : uint8_t { minmax, entropy, percentile };

struct RangeOptions {
  RangeMethod method = RangeMethod::minmax;
  bool symmetric = false;  ///< As wide below 0 as above (not by entropy).
  // minmax:
  bool moving_average = false;  ///< Means over samples instead of the extremes.
  float averaging_constant = 0.01f;
  // entropy and percentile:
  size_t num_bins = 128;  ///< More come with data that reaches further.
  size_t num_quantized_bins = 128;
  double percentile = 99.999;
};

/// Memory is for a histogram, not for numbers: samples come in batches, and each batch is gone through twice
/// where the method counts (see needs_counts()): look() at all samples, end_looks(), count() all,
/// end_counts(). NaN is left out.
///
/// One batch gives what ONNX Runtime gives for the same samples collected at once; several give what it
/// merges.
class RangeCollector {
 public:
  explicit RangeCollector(const RangeOptions& options) : options_(options) {}

  [[nodiscard]] bool needs_counts() const { return options_.method != RangeMethod::minmax; }
  void look(std::span<const float> values);
  void end_looks();
  void count(std::span<const float> values);

  /// Least and largest number that integers are to reach; nothing if no sample was seen.
  [[nodiscard]] std::optional<std::pair<float, float>> range() const;

 private:
  struct Extremes {
    float low = 0, high = 0;
  };
  void merge_extremes();
  void make_room_for_values();
  void make_room_for_absolutes();
  [[nodiscard]] bool absolute() const {
    return options_.method == RangeMethod::percentile && options_.symmetric;
  }

  RangeOptions options_;
  std::vector<float> lows_, highs_;  // Of this batch's samples.
  float least_size_ = 0;             // Of this batch's numbers without their signs.
  std::optional<Extremes> all_;
  std::optional<Histogram> histogram_;
  float threshold_ = 0;
};

}  // namespace ferry::passes
