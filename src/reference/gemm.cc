#include "reference/gemm.h"

#include <algorithm>

#include "base/parallel.h"
#include "reference/kernels.h"

namespace ferry::reference {

void multiply(const Matrix& a, const Matrix& b, float* out, int64_t out_stride) {
  if (a.rows == 0 || b.columns == 0) return;
  if (a.columns == 0) {
    for (int64_t i = 0; i < a.rows; ++i) std::fill_n(out + i * out_stride, b.columns, 0.0f);
    return;
  }
  kernels().multiply(a, b, out, out_stride);
}

void multiply_in_parallel(const Matrix& a, const Matrix& b, float* out, int64_t out_stride) {
  constexpr int64_t kWorthAThread = 1 << 18;  // Multiplications.
  const int64_t work = a.rows * a.columns * b.columns;
  const auto threads = static_cast<int64_t>(default_threads());
  const bool by_columns = b.columns >= a.rows;
  const int64_t extent = by_columns ? b.columns : a.rows;
  // Each piece packs the other matrix anew.
  const int64_t most = std::clamp(extent / 1024, threads, 2 * threads);
  const int64_t pieces = std::min({work / kWorthAThread, most, extent / 16});
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
