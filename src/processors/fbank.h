#pragma once
// Kaldi's filter bank, of AST and SeamlessM4T: the logarithm of how loud each band is, frame by frame.
#include <cstddef>
#include <span>
#include <vector>

#include "processors/mel_filters.h"

namespace ferry::processors {

struct Fbank {
  std::vector<double> window;  ///< As long as a frame.
  std::vector<MelFilter> filters;
  float scale = 1;  ///< Of the samples.
  static constexpr size_t kFrame = 400, kHop = 160, kFft = 512;

  /// How many frames there are; 0 for less than one.
  [[nodiscard]] static size_t frames(size_t samples) {
    return samples < kFrame ? 0 : 1 + (samples - kFrame) / kHop;
  }
  /// [frames, filters.size()]. Frames lose their mean and are pre-emphasized by 0.97.
  void operator()(std::span<const float> samples, float* out) const;
};

}  // namespace ferry::processors
