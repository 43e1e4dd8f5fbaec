#pragma once
// The energy of each frequency of a frame of sound.
#include <cmath>
#include <complex>
#include <cstddef>
#include <unsupported/Eigen/FFT>
#include <vector>

namespace ferry::processors {

/// 0.5 - 0.5 cos(2 pi i / period) for i < size.
inline std::vector<double> hann_window(size_t size, size_t period) {
  constexpr double kPi = 3.14159265358979323846;
  std::vector<double> out(size);
  for (size_t i = 0; i < size; ++i)
    out[i] = 0.5 - 0.5 * std::cos(2.0 * kPi * static_cast<double>(i) / static_cast<double>(period));
  return out;
}

/// In f64: next to a loud tone, the rounding of f32 would be all that a quiet band shows.
class Spectrum {
 public:
  /// Frames as long as the window, followed by zeros up to `n_fft`.
  Spectrum(std::vector<double> window, size_t n_fft)
      : window_(std::move(window)), frame_(n_fft), spectrum_(n_fft), power_(n_fft / 2 + 1) {
    transform_.SetFlag(Eigen::FFT<double>::HalfSpectrum);
  }

  /// n_fft / 2 + 1 energies, valid until the next call.
  template <typename Number>
  const std::vector<double>& operator()(const Number* samples) {
    for (size_t i = 0; i < window_.size(); ++i) frame_[i] = samples[i] * window_[i];
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

}  // namespace ferry::processors
