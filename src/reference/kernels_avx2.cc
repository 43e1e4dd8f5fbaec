// Compiled for AVX2 and FMA (see CMakeLists.txt) and called only where the processor has them. Eigen's
// namespace is renamed: the linker must not take code from here for the baseline's.
#include "reference/kernels.h"

#ifdef __AVX2__
#define Eigen EigenAvx2
#include "reference/kernels.inc"
#endif

namespace ferry::reference {

const Kernels* avx2_kernels() {
#ifdef __AVX2__
  return &kKernels;
#else
  return nullptr;
#endif
}

}  // namespace ferry::reference
