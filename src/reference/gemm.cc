#include "reference/gemm.h"

#include <algorithm>

#include "base/parallel.h"
#include "reference/gemm_eigen.inc"

namespace ferry::reference {

using Multiply = void (*)(const Matrix&, const Matrix&, float*, int64_t);
Multiply avx2_multiply();  // gemm_avx2.cc; null where the compiler has no such thing.

namespace {

Multiply best_multiply() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && avx2_multiply() != nullptr)
    return avx2_multiply();
#endif
  return eigen_multiply;
}

}  // namespace

void multiply(const Matrix& a, const Matrix& b, float* out, int64_t out_stride) {
  static const Multiply best = best_multiply();
  if (a.rows == 0 || b.columns == 0) return;
  if (a.columns == 0) {
    for (int64_t i = 0; i < a.rows; ++i) std::fill_n(out + i * out_stride, b.columns, 0.0f);
    return;
  }
  best(a, b, out, out_stride);
}

void multiply_in_parallel(const Matrix& a, const Matrix& b, float* out, int64_t out_stride) {
  constexpr int64_t kWorthAThread = 1 << 18;  // Multiplications.
  const int64_t work = a.rows * a.columns * b.columns;
  const auto threads = static_cast<int64_t>(default_threads());
  const bool by_columns = b.columns >= a.rows;
  const int64_t extent = by_columns ? b.columns : a.rows;
  const int64_t pieces = std::min({work / kWorthAThread, 2 * threads, extent / 16});
  if (pieces <= 1) return multiply(a, b, out, out_stride);
  parallel_for(static_cast<size_t>(pieces), [&](size_t piece) {
    const auto i = static_cast<int64_t>(piece);
    const int64_t begin = extent * i / pieces, end = extent * (i + 1) / pieces;
    if (by_columns) {
      multiply(a, b.column_range(begin, end), out + begin, out_stride);
    } else {
      multiply(a.row_range(begin, end), b, out + begin * out_stride, out_stride);
    }
  });
}

}  // namespace ferry::reference
