#include "processors/log_mel.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "processors/spectrum.h"

namespace ferry::processors {
namespace {

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

}  // namespace

void LogMel::operator()(std::span<const float> samples, float* out) const {
  const size_t frames = samples.size() / hop_length;
  constexpr float kFloor = 1e-10f;
  Spectrum spectrum(hann_window(n_fft, n_fft), n_fft);
  std::vector<float> room(n_fft);
  for (size_t t = 0; t < frames; ++t) {
    const float* frame = frame_at(samples, t * hop_length, room);
    if (is_silent(frame, n_fft)) {
      for (size_t m = 0; m < filters.size(); ++m) out[m * frames + t] = kFloor;
      continue;
    }
    const auto& power = spectrum(frame);
    for (size_t m = 0; m < filters.size(); ++m)
      out[m * frames + t] = std::max(static_cast<float>(filters[m](power)), kFloor);
  }
  Eigen::Map<Eigen::ArrayXf> values(out, static_cast<Eigen::Index>(frames * filters.size()));
  values = values.log() * static_cast<float>(1 / std::log(10.0));
  values = (values.max(values.maxCoeff() - 8.0f) + 4.0f) / 4.0f;
}

}  // namespace ferry::processors
