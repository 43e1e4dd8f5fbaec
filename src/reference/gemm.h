#pragma once
// Products of f32 matrices.
#include <cstdint>

namespace ferry::reference {

/// A matrix in somebody's memory. One of the strides is 1.
struct Matrix {
  const float* data = nullptr;
  int64_t rows = 0, columns = 0;
  int64_t row_stride = 0, column_stride = 1;  ///< In elements.

  [[nodiscard]] Matrix transposed() const { return {data, columns, rows, column_stride, row_stride}; }
  [[nodiscard]] Matrix row_range(int64_t begin, int64_t end) const {
    return {data + begin * row_stride, end - begin, columns, row_stride, column_stride};
  }
  [[nodiscard]] Matrix column_range(int64_t begin, int64_t end) const {
    return {data + begin * column_stride, rows, end - begin, row_stride, column_stride};
  }
};

/// out = a * b, rows of `out` `out_stride` elements apart. On the calling thread.
void multiply(const Matrix& a, const Matrix& b, float* out, int64_t out_stride);

/// The same on every processor.
void multiply_in_parallel(const Matrix& a, const Matrix& b, float* out, int64_t out_stride);

}  // namespace ferry::reference
