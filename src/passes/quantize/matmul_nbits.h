#pragma once
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "tensor/blockwise.h"

namespace ferry::passes {

struct MatMulNBitsOptions {
  BlockFormat format;
  int64_t accuracy_level = 4;  ///< What ONNX Runtime multiplies with: 4 is 8-bit integers, 0 and 1 are f32.
  /// Bits of the head (the product that nothing but element-wise operators separates from the result
  /// "logits"): 4, 8, or 0 to leave it as it is.
  int head_bits = 0;
};

struct MatMulNBitsResult {
  size_t quantized = 0;           ///< Products.
  std::vector<std::string> kept;  ///< Names of products with a weight that stay: the head's.
};

/// Products with an f32 matrix on the right, MatMul and Gemm (without transA, alpha and beta 1), become
/// com.microsoft's MatMulNBits, in subgraphs, too. Weights are made when they are written: memory stays flat.
/// A matrix that a lookup shares with a product stays there in floats, for the lookup.
/// Errors: Error{usage} for a block size that is no power of two from 16 to 256.
MatMulNBitsResult quantize_matmul_nbits(ir::Graph& graph, const MatMulNBitsOptions& options);

}  // namespace ferry::passes
