#pragma once
// Pillow's resampling: two passes of weighted sums in fixed point.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ferry/image_processor.h"

namespace ferry::processors {

/// Which pixels of a line make each pixel of the resized line, and their weights in 1 / 2^22.
struct Weights {
  struct Span {
    uint32_t first = 0;
    uint32_t count = 0;
  };
  std::vector<Span> spans;      ///< One a pixel of the result.
  size_t stride = 0;            ///< Weights of one pixel lie this far from those of the next.
  std::vector<int32_t> values;  ///< spans.size() * stride, zero after `count`.
};
constexpr int kWeightBits = 32 - 8 - 2;

Weights make_weights(uint32_t from, uint32_t to, Resampling filter);

/// Lanes that the horizontal pass sums at once: 8 pixels of 3 channels. Each weight stands there three times,
/// and lines are followed by this many zeros.
constexpr size_t kLanes = 24;

struct Kernels {
  /// One line of `width` pixels from `line`; `repeated` holds the weights three times each, `stride` of them
  /// a pixel, a multiple of kLanes.
  void (*horizontal)(const uint8_t* line, const Weights::Span* spans, size_t width, const int32_t* repeated,
                     size_t stride, uint8_t* out);
  /// `count` bytes of a line as the weighted sum of `lines` lines that lie `pitch` bytes apart.
  void (*vertical)(const uint8_t* from, size_t pitch, const int32_t* weights, size_t lines, size_t count,
                   uint8_t* out);
};
extern const Kernels kPlainKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;  ///< Call only where the processor has AVX2.
#endif

}  // namespace ferry::processors
