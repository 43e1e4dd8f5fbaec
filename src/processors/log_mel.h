#pragma once
// Whisper's spectrogram: how loud each of some bands of frequency is, frame by frame.
#include <cstddef>
#include <span>
#include <vector>

namespace ferry::processors {

/// A triangle over the bins of a Fourier transform.
struct MelFilter {
  size_t first = 0;
  std::vector<double> weights;
};

/// Slaney's scale and norm from 0 to 8000 Hz, `bins` of them from 0 Hz to half the sampling rate
/// (mel_filter_bank of transformers' audio_utils.py).
std::vector<MelFilter> slaney_mel_filters(size_t bins, size_t mels, double sampling_rate);

struct LogMel {
  size_t n_fft = 400;
  size_t hop_length = 160;
  std::vector<MelFilter> filters;

  /// [filters.size(), samples.size() / hop_length]: log10 of the energies, at least 8 below the loudest, as
  /// (x + 4) / 4. Both ends of the samples are mirrored; there are more than n_fft / 2 of them.
  void operator()(std::span<const float> samples, float* out) const;
};

}  // namespace ferry::processors
