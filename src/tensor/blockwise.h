#pragma once
// Weights of 4 or 8 bits with a scale for each block of a column, as ONNX Runtime's MatMulNBits takes them.
// Source: onnxruntime 1.32, ContribOperators.md (MatMulNBits); rounding to nearest is that of its
// quantize_matmul_4bits, byte for byte.
#include <optional>

#include "tensor/weight.h"

namespace ferry {

/// How a block's scale and zero point are found.
enum class BlockAlgorithm : uint8_t {
  rtn,  ///< From the extremes of the block: round to nearest.
  mse,  ///< Those of the least squared error, among ranges that leave out extremes.
  /// Half-quadratic quantization: the scale from the extremes, the zero point by proximal steps for the
  /// error's norm |x|^0.7, which outliers count little in. Blocks have zero points, rounded to whole numbers.
  /// Source: Badri and Shaji, "Half-Quadratic Quantization of Large Machine Learning Models", 2023.
  hqq,
};

struct BlockFormat {
  int bits = 4;             ///< 4 or 8.
  int64_t block_size = 32;  ///< A power of two, 16 at least: neighbours in a column that share a scale.
  bool symmetric = true;    ///< Zero is in the middle of the range; else each block has a zero point.
  BlockAlgorithm algorithm = BlockAlgorithm::rtn;
};

struct BlockWeights {
  Weight packed;  ///< u8[N, blocks, block_size * bits / 8], the first of a pair in the low bits.
  Weight scales;  ///< f32[N, blocks]
  std::optional<Weight> zero_points;  ///< u8[N, ceil(blocks * bits / 8)], if not symmetric.
};

/// Takes a floating matrix [K, N] apart into blocks along K; the last block of a column may be short and is
/// filled up. All three are lazy: a reader holds one column at a time; with algorithms that search, the
/// blocks' scales are made on several threads for a walk over all three and let go with its end. Errors:
/// Error{shape_mismatch} for another rank, Error{usage} for hqq and symmetric; on reading,
/// Error{invalid_file} if an element is infinite or NaN.
BlockWeights quantize_blocks(const Weight& matrix, const BlockFormat& format);

}  // namespace ferry
