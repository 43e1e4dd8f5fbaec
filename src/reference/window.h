#pragma once
// Windows that move over the spatial dimensions of an image: shared by convolution and pooling.
#include "reference/call.h"

namespace ferry::reference {

struct Windows {
  Dims in, kernel, out;  ///< Spatial sizes of the input, the window and the result.
  Dims strides, dilations, before, after;

  [[nodiscard]] size_t rank() const { return in.size(); }
  /// Where tap `k` of the window for place `o` reads along dimension d; it may lie outside.
  [[nodiscard]] int64_t source(size_t d, int64_t o, int64_t k) const {
    return o * strides[d] - before[d] + k * dilations[d];
  }
};

/// From the node's attributes; `kernel` where they leave kernel_shape out. `in` has batch and channels, too.
Windows windows_of(Call& call, const Dims& in, const Dims& kernel, bool ceil_mode = false);

/// For places [begin, end) of the result (row-major), the offset within a channel of the input that window
/// tap `tap` (row-major in the kernel) reads; -1 outside.
std::vector<int64_t> tap_sources(const Windows& windows, int64_t tap, int64_t begin, int64_t end);

}  // namespace ferry::reference
