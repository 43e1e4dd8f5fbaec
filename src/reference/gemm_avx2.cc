// Compiled with -mavx2 -mfma (see CMakeLists.txt) and called only where the processor has both. Eigen's
// namespace is renamed: the linker must not take code from here for the baseline's.
#include "reference/gemm.h"

#ifdef __AVX2__
#define Eigen EigenAvx2
#include "reference/gemm_eigen.inc"
#endif

namespace ferry::reference {

using Multiply = void (*)(const Matrix&, const Matrix&, float*, int64_t);

Multiply avx2_multiply() {
#ifdef __AVX2__
  return eigen_multiply;
#else
  return nullptr;
#endif
}

}  // namespace ferry::reference
