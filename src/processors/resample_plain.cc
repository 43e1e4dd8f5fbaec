#include "processors/resample_kernels.inc"

namespace ferry::processors {
const Kernels kPlainKernels = {horizontal, vertical};
}  // namespace ferry::processors
