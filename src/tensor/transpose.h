#pragma once
#include <cstddef>
#include <cstdint>

namespace ferry {

/// A matrix in memory whose neighbours along a row lie `column_stride` elements apart, and along a column
/// `row_stride` elements.
struct StridedMatrix {
  const std::byte* data = nullptr;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t row_stride = 1;
  int64_t column_stride = 1;
};

/// Copies it to `out`, row-major, for matrices that lie transposed: made for row_stride 1, right for any.
/// Elements of 2 or 4 bytes.
void copy_transposed_2(const StridedMatrix& from, std::byte* out);
void copy_transposed_4(const StridedMatrix& from, std::byte* out);

}  // namespace ferry
