#pragma once
#include "passes/quantize/result.h"
#include "passes/quantize/selection.h"
#include "tensor/blockwise.h"

namespace ferry::passes {

struct MatMulNBitsOptions {
  BlockFormat format;
  int64_t accuracy_level = 4;  ///< What ONNX Runtime multiplies with: 4 is 8-bit integers, 0 and 1 are f32.
  /// Bits of the head (the product that nothing but element-wise operators separates from the result
  /// "logits"): 4, 8, or 0 to leave it as it is.
  int head_bits = 0;
  /// Bits of the tables that tokens are looked up in: 4, 8, or 0 to leave them as they are. Their blocks are
  /// symmetric.
  int embedding_bits = 0;
  NodeSelection nodes = {{"MatMul", "Gemm", "Gather"}, {}, {}};
};

/// Products with an f32 matrix on the right, MatMul and Gemm (without transA, alpha and beta 1), become
/// com.microsoft's MatMulNBits, in subgraphs, too; lookups of input_ids in a table become
/// GatherBlockQuantized. Weights are made when they are written: memory stays flat. A head that shares the
/// table's numbers shares its integers, if both have the same bits and blocks; a matrix that a lookup in
/// floats shares stays there for the lookup. Errors: Error{usage} for a block size that is no power of two
/// from 16 to 256.
QuantizationResult quantize_matmul_nbits(ir::Graph& graph, const MatMulNBitsOptions& options);

}  // namespace ferry::passes
