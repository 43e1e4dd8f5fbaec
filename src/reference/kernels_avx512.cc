// Compiled for AVX-512 (F, DQ, BW, VL) (see CMakeLists.txt) and called only where the processor has them.
// Eigen's namespace is renamed: the linker must not take code from here for the baseline's.
#include "reference/kernels.h"

#ifdef __AVX512F__
#define Eigen EigenAvx512
#include "reference/kernels.inc"
#endif

namespace ferry::reference {

const Kernels* avx512_kernels() {
#ifdef __AVX512F__
  return &kKernels;
#else
  return nullptr;
#endif
}

}  // namespace ferry::reference
