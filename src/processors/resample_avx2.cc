#if defined(__x86_64__)
#include "processors/resample_kernels.inc"

namespace ferry::processors {
const Kernels kAvx2Kernels = {horizontal, vertical};
}  // namespace ferry::processors
#endif
