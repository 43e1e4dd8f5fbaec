#include "reference/kernels.h"

#include "reference/kernels.inc"

namespace ferry::reference {

// kernels_*.cc; null where the compiler has no such instructions.
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();

std::vector<const Kernels*> all_kernels() {
  std::vector<const Kernels*> out = {&kKernels};
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (avx2 && avx2_kernels() != nullptr) out.push_back(avx2_kernels());
  if (avx512 && avx512_kernels() != nullptr) out.push_back(avx512_kernels());
#endif
  return out;
}

const Kernels& kernels() {
  static const Kernels& best = *all_kernels().back();
  return best;
}

}  // namespace ferry::reference
