#pragma once
// What the passes that make MatMulNBits share.
#include <optional>

#include "ir/op.h"
#include "tensor/blockwise.h"

namespace ferry::passes {

/// The matrix [K, N] that the node multiplies with, if it is a MatMul, or a Gemm without transA and with
/// alpha and beta 1, of an activation and a weight of `dtype`.
std::optional<Weight> matrix_of(const ir::Node& node, DType dtype);

/// x times the blocks as com.microsoft's MatMulNBits; the weights are named after `name`. `rows` is K.
ir::Tensor matmul_nbits(const ir::Tensor& x, const BlockWeights& weights, const BlockFormat& format,
                        int64_t rows, int64_t accuracy_level, const std::string& name);

/// Adds what a Gemm adds, and puts the result in the place of the node's.
void replace_product(ir::Graph& graph, const ir::Node& node, ir::Tensor product);

}  // namespace ferry::passes
