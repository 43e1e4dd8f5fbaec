#pragma once
// Whisper's spectrogram: how loud each of some bands of frequency is, frame by frame.
#include <cstddef>
#include <span>
#include <vector>

#include "processors/mel_filters.h"

namespace ferry::processors {

struct LogMel {
  size_t n_fft = 400;
  size_t hop_length = 160;
  std::vector<MelFilter> filters;

  /// [filters.size(), samples.size() / hop_length]: log10 of the energies, at least 8 below the loudest, as
  /// (x + 4) / 4. Both ends of the samples are mirrored; there are more than n_fft / 2 of them.
  void operator()(std::span<const float> samples, float* out) const;
};

}  // namespace ferry::processors
