#include "processors/log_mel.h"

#include <Eigen/Core>
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
std::vector<double> hann_window(size_t size) {
  std::vector<double> out(size);
  for (size_t i = 0; i < size; ++i) {
    const double angle = 2.0 * kPi * static_cast<double>(i) / static_cast<double>(size);
    out[i] = 0.5 - 0.5 * std::cos(angle);
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

// The samples around samples[centre]; where they reach over an end, in `room`.
const float* frame_at(std::span<const float> samples, size_t centre, std::span<float> room) {
  const size_t size = room.size(), half = size / 2;
  if (centre >= half && centre + (size - half) <= samples.size()) return samples.data() + centre - half;
  for (size_t i = 0; i < size; ++i)
    room[i] = mirrored(samples, static_cast<ptrdiff_t>(centre + i) - static_cast<ptrdiff_t>(half));
  return room.data();
}

bool is_silent(const float* frame, size_t size) {
  return std::all_of(frame, frame + size, [](float sample) { return sample == 0; });
}

// The energy of each frequency of one frame. In f64: next to a loud tone, the rounding of f32 would be all
// that a quiet band shows.
class Spectrum {
 public:
  explicit Spectrum(size_t size)
      : window_(hann_window(size)), frame_(size), spectrum_(size), power_(size / 2 + 1) {
    transform_.SetFlag(Eigen::FFT<double>::HalfSpectrum);
  }
  const std::vector<double>& operator()(const float* samples) {
    for (size_t i = 0; i < frame_.size(); ++i) frame_[i] = samples[i] * window_[i];
    transform_.fwd(spectrum_.data(), frame_.data(), static_cast<Eigen::Index>(frame_.size()));
    for (size_t i = 0; i < power_.size(); ++i) power_[i] = std::norm(spectrum_[i]);
    return power_;
  }

 private:
  Eigen::FFT<double> transform_;
  std::vector<double> window_, frame_;
  std::vector<std::complex<double>> spectrum_;
  std::vector<double> power_;
};

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
      out[m].weights.push_back(height * 2.0 / (high - low));
    }
  }
  return out;
}

void LogMel::operator()(std::span<const float> samples, float* out) const {
  const size_t frames = samples.size() / hop_length;
  constexpr float kFloor = 1e-10f;
  Spectrum spectrum(n_fft);
  std::vector<float> room(n_fft);
  for (size_t t = 0; t < frames; ++t) {
    const float* frame = frame_at(samples, t * hop_length, room);
    if (is_silent(frame, n_fft)) {
      for (size_t m = 0; m < filters.size(); ++m) out[m * frames + t] = kFloor;
      continue;
    }
    const auto& power = spectrum(frame);
    for (size_t m = 0; m < filters.size(); ++m) {
      double sum = 0;
      const double* from = power.data() + filters[m].first;
      for (const double weight : filters[m].weights) sum += weight * *from++;
      out[m * frames + t] = std::max(static_cast<float>(sum), kFloor);
    }
  }
  Eigen::Map<Eigen::ArrayXf> values(out, static_cast<Eigen::Index>(frames * filters.size()));
  values = values.log() * static_cast<float>(1 / std::log(10.0));
  values = (values.max(values.maxCoeff() - 8.0f) + 4.0f) / 4.0f;
}

}  // namespace ferry::processors
