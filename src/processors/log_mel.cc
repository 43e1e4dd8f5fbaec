#include "processors/log_mel.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <unsupported/Eigen/FFT>

namespace ferry::processors {
namespace {

constexpr double kPi = 3.14159265358979323846;

// Slaney's scale: 200/3 Hz a mel up to 1000 Hz, logarithmic above.
constexpr double kBreakHertz = 1000.0, kBreakMel = 15.0;
const double kLogStep = std::log(6.4) / 27.0;

double hertz_to_mel(double hertz) {
  return hertz >= kBreakHertz ? kBreakMel + std::log(hertz / kBreakHertz) / kLogStep : 3.0 * hertz / 200.0;
}
double mel_to_hertz(double mel) {
  return mel >= kBreakMel ? kBreakHertz * std::exp(kLogStep * (mel - kBreakMel)) : 200.0 * mel / 3.0;
}

// Of period `size`, as torch.hann_window and numpy's hanning of one more.
std::vector<float> hann_window(size_t size) {
  std::vector<float> out(size);
  for (size_t i = 0; i < size; ++i) {
    const double angle = 2.0 * kPi * static_cast<double>(i) / static_cast<double>(size);
    out[i] = static_cast<float>(0.5 - 0.5 * std::cos(angle));
  }
  return out;
}

// samples[at] with both ends mirrored.
float mirrored(std::span<const float> samples, ptrdiff_t at) {
  const auto size = static_cast<ptrdiff_t>(samples.size());
  if (at < 0) at = -at;
  if (at >= size) at = 2 * (size - 1) - at;
  return samples[static_cast<size_t>(at)];
}

// One frame around samples[centre], times the window. False if it is silence.
bool read_frame(std::span<const float> samples, size_t centre, std::span<const float> window, float* frame) {
  const size_t size = window.size(), half = size / 2;
  const bool inside = centre >= half && centre + (size - half) <= samples.size();
  float loudest = 0;
  for (size_t i = 0; i < size; ++i) {
    const float sample =
        inside ? samples[centre - half + i]
               : mirrored(samples, static_cast<ptrdiff_t>(centre + i) - static_cast<ptrdiff_t>(half));
    frame[i] = sample * window[i];
    loudest = std::max(loudest, std::abs(sample));
  }
  return loudest > 0;
}

}  // namespace

std::vector<MelFilter> slaney_mel_filters(size_t bins, size_t mels, double sampling_rate) {
  const double most = hertz_to_mel(8000.0);
  std::vector<double> edges(mels + 2);
  for (size_t i = 0; i < edges.size(); ++i)
    edges[i] = mel_to_hertz(most * static_cast<double>(i) / static_cast<double>(mels + 1));
  const double step = std::floor(sampling_rate / 2) / static_cast<double>(bins - 1);
  std::vector<MelFilter> out(mels);
  for (size_t m = 0; m < mels; ++m) {
    const double low = edges[m], peak = edges[m + 1], high = edges[m + 2];
    for (size_t bin = 0; bin < bins; ++bin) {
      const double hertz = step * static_cast<double>(bin);
      const double height = std::min((hertz - low) / (peak - low), (high - hertz) / (high - peak));
      if (height <= 0) continue;
      if (out[m].weights.empty()) out[m].first = bin;
      out[m].weights.push_back(static_cast<float>(height * 2.0 / (high - low)));
    }
  }
  return out;
}

void LogMel::operator()(std::span<const float> samples, float* out) const {
  const size_t frames = samples.size() / hop_length;
  const auto window = hann_window(n_fft);
  Eigen::FFT<float> transform;
  transform.SetFlag(Eigen::FFT<float>::HalfSpectrum);
  std::vector<float> frame(n_fft), power(n_fft / 2 + 1);
  std::vector<std::complex<float>> spectrum(n_fft);
  constexpr float kFloor = 1e-10f;
  float loudest = std::log10(kFloor);
  for (size_t t = 0; t < frames; ++t) {
    if (!read_frame(samples, t * hop_length, window, frame.data())) {
      for (size_t m = 0; m < filters.size(); ++m) out[m * frames + t] = std::log10(kFloor);
      continue;
    }
    transform.fwd(spectrum.data(), frame.data(), static_cast<Eigen::Index>(n_fft));
    for (size_t i = 0; i < power.size(); ++i) power[i] = std::norm(spectrum[i]);
    for (size_t m = 0; m < filters.size(); ++m) {
      float sum = 0;
      const float* from = power.data() + filters[m].first;
      for (const float weight : filters[m].weights) sum += weight * *from++;
      const float value = std::log10(std::max(sum, kFloor));
      loudest = std::max(loudest, value);
      out[m * frames + t] = value;
    }
  }
  for (size_t i = 0; i < frames * filters.size(); ++i)
    out[i] = (std::max(out[i], loudest - 8.0f) + 4.0f) / 4.0f;
}

}  // namespace ferry::processors
