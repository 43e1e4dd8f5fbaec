#include "processors/fbank.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "processors/spectrum.h"

namespace ferry::processors {

void Fbank::operator()(std::span<const float> samples, float* out) const {
  constexpr double kEmphasis = 0.97, kFloor = 1.192092955078125e-07;
  Spectrum spectrum(window, kFft);
  std::vector<double> frame(kFrame);
  for (size_t t = 0; t < frames(samples.size()); ++t) {
    std::transform(samples.data() + t * kHop, samples.data() + t * kHop + kFrame, frame.begin(),
                   [&](float sample) { return sample * scale; });
    const double mean = std::accumulate(frame.begin(), frame.end(), 0.0) / kFrame;
    for (double& value : frame) value -= mean;
    for (size_t i = kFrame; i-- > 1;) frame[i] -= kEmphasis * frame[i - 1];
    frame[0] *= 1 - kEmphasis;
    const auto& power = spectrum(frame.data());
    for (const auto& filter : filters) *out++ = static_cast<float>(std::log(std::max(filter(power), kFloor)));
  }
}

}  // namespace ferry::processors
