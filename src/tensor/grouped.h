#pragma once
// Matrices that a checkpoint stores quantized, as GPTQ and AWQ do: small integers in 32-bit words, with a
// scale and a zero point for each group of rows of a column. Source: AutoGPTQ 0.7 qlinear_cuda.py, AutoAWQ
// 0.2 packing_utils.py.
#include <optional>
#include <vector>

#include "tensor/blockwise.h"
#include "tensor/weight.h"

namespace ferry {

struct GroupedFormat {
  enum class Layout : uint8_t {
    /// qweight i32[K * bits / 32, N]: a word holds neighbours of a column, the first in the low bits; qzeros
    /// i32[groups, N * bits / 32] along a row.
    gptq,
    /// qweight i32[K, N / 8] and qzeros i32[groups, N / 8]: a word holds the columns 0 2 4 6 1 3 5 7 of
    /// eight.
    awq,
  };
  Layout layout = Layout::gptq;
  int bits = 4;                 ///< 4, or 8 with Layout::gptq.
  int64_t group_size = -1;      ///< Rows of a column that share a scale; -1: all.
  bool zeros_less_one = false;  ///< Zero points are stored less one (modulo 2^bits), as GPTQ's first format.
};

struct GroupedTensors {
  Weight qweight, qzeros;
  Weight scales;                ///< Floating [groups, N].
  std::optional<Weight> g_idx;  ///< i32[K]: the group of each row, where they are not one after the other.
};

/// (q - zero) * scale as f32[N, K], the layout of a Linear's weight; computed a range at a time.
/// Errors: Error{shape_mismatch}, Error{dtype_mismatch} or Error{invalid_file} if the tensors are not what
/// the format asks for.
Weight grouped_matrix(const GroupedTensors& tensors, const GroupedFormat& format);

/// Columns of a product with stored integers, as MatMulNBits takes them.
struct BlockMatrix {
  BlockFormat format;
  BlockWeights weights;
  /// i64[K]: which of the product's inputs each row takes, if groups are not one after the other.
  std::optional<Weight> order;
};

/// `matrix` [K, N] as blocks, if it is a grouped_matrix, transposed, or a cast, slice or concatenation along
/// N of such: one after the other along N. Empty if it is not, or if its groups are not made of blocks that
/// MatMulNBits has (powers of two from 16 to 256). Nothing is rounded but the scales, to the matrix's dtype.
std::vector<BlockMatrix> stored_blocks(const Weight& matrix);

/// Whether the weight is a grouped_matrix: dimensions are then [out, in], whatever the layer.
bool is_grouped(const Weight& weight);
/// Whether it is made of such, among others.
bool has_grouped(const Weight& weight);

}  // namespace ferry
