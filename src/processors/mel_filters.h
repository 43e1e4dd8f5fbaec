#pragma once
// Bands of frequency, as triangles over the bins of a Fourier transform (mel_filter_bank of transformers'
// audio_utils.py).
#include <cstddef>
#include <span>
#include <vector>

namespace ferry::processors {

struct MelFilter {
  size_t first = 0;
  std::vector<double> weights;

  /// What of the energies is in the band.
  [[nodiscard]] double operator()(const std::vector<double>& power) const {
    double sum = 0;
    const double* from = power.data() + first;
    for (const double weight : weights) sum += weight * *from++;
    return sum;
  }
};

/// Whisper's: Slaney's scale and norm from 0 to 8000 Hz, `bins` of them from 0 Hz to half the sampling rate.
std::vector<MelFilter> slaney_mel_filters(size_t bins, size_t mels, double sampling_rate);
/// Kaldi's: from 20 Hz to half the sampling rate, triangles over mels rather than Hz.
std::vector<MelFilter> kaldi_mel_filters(size_t bins, size_t mels, double sampling_rate);

}  // namespace ferry::processors
