#include "tensor/transpose.h"

#include <algorithm>
#include <cstring>

namespace ferry {
namespace {

// A block is one cache line high and wide. It is turned in registers, small square by small square, into a
// buffer in the first-level cache, and leaves that by whole lines: rows of the result are often a multiple of
// the page size apart, where a cache keeps few of them.
constexpr int64_t kLine = 64;

using Vector4 = uint32_t __attribute__((vector_size(16)));
using Vector8 = uint16_t __attribute__((vector_size(16)));

// 4 x 4 elements of 4 bytes: in[c][r] -> out[r][c].
struct Square4 {
  using Element = uint32_t;
  static constexpr int64_t kSide = 4;
  static void turn(const std::byte* const in[], Element* out, int64_t out_stride) {
    Vector4 a, b, c, d;
    std::memcpy(&a, in[0], 16);
    std::memcpy(&b, in[1], 16);
    std::memcpy(&c, in[2], 16);
    std::memcpy(&d, in[3], 16);
    const Vector4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const Vector4 ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Vector4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const Vector4 cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    const Vector4 rows[4] = {__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5),
                             __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
                             __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                             __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
    for (int64_t r = 0; r < 4; ++r) std::memcpy(out + r * out_stride, &rows[r], 16);
  }
};

// 8 x 8 elements of 2 bytes, by three rounds of interleaving lines that are half the square apart.
struct Square8 {
  using Element = uint16_t;
  static constexpr int64_t kSide = 8;
  static void turn(const std::byte* const in[], Element* out, int64_t out_stride) {
    Vector8 lines[8];
    for (int64_t c = 0; c < 8; ++c) std::memcpy(&lines[c], in[c], 16);
    for (int round = 0; round < 3; ++round) {
      Vector8 next[8];
      for (int64_t c = 0; c < 4; ++c) {
        next[2 * c] = __builtin_shufflevector(lines[c], lines[c + 4], 0, 8, 1, 9, 2, 10, 3, 11);
        next[2 * c + 1] = __builtin_shufflevector(lines[c], lines[c + 4], 4, 12, 5, 13, 6, 14, 7, 15);
      }
      std::copy(next, next + 8, lines);
    }
    for (int64_t r = 0; r < 8; ++r) std::memcpy(out + r * out_stride, &lines[r], 16);
  }
};

template <typename Element>
void copy_elements(const StridedMatrix& from, int64_t r0, int64_t r1, int64_t c0, int64_t c1,
                   std::byte* out) {
  constexpr int64_t kSize = sizeof(Element);
  for (int64_t r = r0; r < r1; ++r) {
    for (int64_t c = c0; c < c1; ++c) {
      std::memcpy(out + (r * from.columns + c) * kSize,
                  from.data + (r * from.row_stride + c * from.column_stride) * kSize, kSize);
    }
  }
}

template <typename Square>
void copy_block(const StridedMatrix& from, int64_t r0, int64_t c0, std::byte* out) {
  using Element = typename Square::Element;
  constexpr int64_t kBlock = kLine / int64_t{sizeof(Element)};
  alignas(kLine) Element block[kBlock * kBlock];
  constexpr int64_t kSize = sizeof(Element);
  const std::byte* corner = from.data + (r0 + c0 * from.column_stride) * kSize;  // Not aligned.
  for (int64_t c = 0; c < kBlock; c += Square::kSide) {
    for (int64_t r = 0; r < kBlock; r += Square::kSide) {
      const std::byte* lines[Square::kSide];
      for (int64_t i = 0; i < Square::kSide; ++i)
        lines[i] = corner + ((c + i) * from.column_stride + r) * kSize;
      Square::turn(lines, block + r * kBlock + c, kBlock);
    }
  }
  for (int64_t r = 0; r < kBlock; ++r)
    std::memcpy(out + ((r0 + r) * from.columns + c0) * kSize, block + r * kBlock, kLine);
}

template <typename Square>
void copy_transposed(const StridedMatrix& from, std::byte* out) {
  constexpr int64_t kBlock = kLine / int64_t{sizeof(typename Square::Element)};
  if (from.row_stride != 1)
    return copy_elements<typename Square::Element>(from, 0, from.rows, 0, from.columns, out);
  const int64_t whole_rows = from.rows / kBlock * kBlock;
  const int64_t whole_columns = from.columns / kBlock * kBlock;
  for (int64_t c = 0; c < whole_columns; c += kBlock) {
    for (int64_t r = 0; r < whole_rows; r += kBlock) copy_block<Square>(from, r, c, out);
  }
  copy_elements<typename Square::Element>(from, 0, whole_rows, whole_columns, from.columns, out);
  copy_elements<typename Square::Element>(from, whole_rows, from.rows, 0, from.columns, out);
}

}  // namespace

void copy_transposed_2(const StridedMatrix& from, std::byte* out) {
  copy_transposed<Square8>(from, out);
}

void copy_transposed_4(const StridedMatrix& from, std::byte* out) {
  copy_transposed<Square4>(from, out);
}

}  // namespace ferry
