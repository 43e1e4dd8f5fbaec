#include "processors/mel_filters.h"

#include <algorithm>
#include <cmath>

namespace ferry::processors {
namespace {

// Slaney's scale: 200/3 Hz a mel up to 1000 Hz, logarithmic above.
constexpr double kBreakHertz = 1000.0, kBreakMel = 15.0;
const double kLogStep = std::log(6.4) / 27.0;

double hertz_to_mel(double hertz) {
  return hertz >= kBreakHertz ? kBreakMel + std::log(hertz / kBreakHertz) / kLogStep : 3.0 * hertz / 200.0;
}
double mel_to_hertz(double mel) {
  return mel >= kBreakMel ? kBreakHertz * std::exp(kLogStep * (mel - kBreakMel)) : 200.0 * mel / 3.0;
}
double hertz_to_kaldi_mel(double hertz) {
  return 1127.0 * std::log(1.0 + hertz / 700.0);
}

// `count` points from `from` to `to`.
std::vector<double> steps(double from, double to, size_t count) {
  std::vector<double> out(count);
  for (size_t i = 0; i < count; ++i)
    out[i] = from + (to - from) * static_cast<double>(i) / static_cast<double>(count - 1);
  return out;
}

// A triangle between neighbours of `edges`, over `bins` in the same unit.
std::vector<MelFilter> triangles(const std::vector<double>& edges, const std::vector<double>& bins,
                                 bool normalized) {
  std::vector<MelFilter> out(edges.size() - 2);
  for (size_t m = 0; m < out.size(); ++m) {
    const double low = edges[m], peak = edges[m + 1], high = edges[m + 2];
    for (size_t bin = 0; bin < bins.size(); ++bin) {
      const double height = std::min((bins[bin] - low) / (peak - low), (high - bins[bin]) / (high - peak));
      if (height <= 0) continue;
      if (out[m].weights.empty()) out[m].first = bin;
      out[m].weights.push_back(normalized ? height * 2.0 / (high - low) : height);
    }
  }
  return out;
}

}  // namespace

std::vector<MelFilter> slaney_mel_filters(size_t bins, size_t mels, double sampling_rate) {
  auto edges = steps(hertz_to_mel(0.0), hertz_to_mel(8000.0), mels + 2);
  for (double& edge : edges) edge = mel_to_hertz(edge);
  return triangles(edges, steps(0, std::floor(sampling_rate / 2), bins), true);
}

std::vector<MelFilter> kaldi_mel_filters(size_t bins, size_t mels, double sampling_rate) {
  const auto edges =
      steps(hertz_to_kaldi_mel(20.0), hertz_to_kaldi_mel(std::floor(sampling_rate / 2)), mels + 2);
  auto places = steps(0, sampling_rate / 2, bins);
  for (double& place : places) place = hertz_to_kaldi_mel(place);
  return triangles(edges, places, false);
}

}  // namespace ferry::processors
