#pragma once
// Weights of 4 or 8 bits with a scale for each block of a column, as ONNX Runtime's MatMulNBits takes them.
// Source: onnxruntime 1.32, ContribOperators.md (MatMulNBits); the arithmetic is that of its
// quantize_matmul_4bits, byte for byte.
#include <optional>

#include "tensor/weight.h"

namespace ferry {

struct BlockFormat {
  int bits = 4;             ///< 4 or 8.
  int64_t block_size = 32;  ///< A power of two, 16 at least: neighbours in a column that share a scale.
  bool symmetric = true;    ///< Zero is in the middle of the range; else each block has a zero point.
};

struct BlockWeights {
  Weight packed;  ///< u8[N, blocks, block_size * bits / 8], the first of a pair in the low bits.
  Weight scales;  ///< f32[N, blocks]
  std::optional<Weight> zero_points;  ///< u8[N, ceil(blocks * bits / 8)], if not symmetric.
};

/// Takes a floating matrix [K, N] apart into blocks along K; the last block of a column may be short and is
/// filled up. All three are lazy: a reader holds one column at a time. Errors: Error{shape_mismatch} for
/// another rank; on reading, Error{invalid_file} if an element is infinite or NaN.
BlockWeights quantize_blocks(const Weight& matrix, const BlockFormat& format);

}  // namespace ferry
