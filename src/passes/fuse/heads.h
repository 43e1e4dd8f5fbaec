#pragma once
// Queries, keys and values of an Attention node as ONNX Runtime's operators take them: [B, S, heads * size].
#include "passes/fuse/fusion.h"

namespace ferry::passes {

/// An Attention node taken apart.
struct AttentionParts {
  ir::Tensor query, key, value;  ///< Of the new tokens, of rank 3 or 4 as the node has them.
  ir::Value* past_key = nullptr;
  ir::Value* past_value = nullptr;
  ir::Value* present_key = nullptr;  ///< What the new operator's results replace.
  ir::Value* present_value = nullptr;
  int64_t heads = 0, kv_heads = 0, size = 0, value_size = 0;
  float scale = 1, softcap = 0;
  [[nodiscard]] bool flat() const { return query.rank() == 3; }
};
/// Nothing for a node with results or inputs that no operator of ONNX Runtime has.
std::optional<AttentionParts> parts_of(Fusion& at, const ir::Node& attention);

/// [B, heads, S, size] -> [B, S, heads * size], by undoing the transposition where there is one; what is done
/// to each head alone (a normalization, turning) moves behind it. Rank 3 stays.
ir::Tensor flat_heads(Fusion& at, const ir::Tensor& x, int64_t heads);

/// x W + bias with constant W [in, out].
struct Projection {
  ir::Value* x = nullptr;
  ir::Value* weight = nullptr;
  ir::Value* bias = nullptr;
};
/// Nothing if `value` is no such, or has other users.
std::optional<Projection> projection_of(const Fusion& at, ir::Value* value);

/// Queries, keys and values side by side, [B, S, all widths]: what they were split from, or one product with
/// the three weights side by side. Empty if they come from elsewhere.
ir::Tensor packed(Fusion& at, const std::vector<ir::Tensor>& parts);

/// The biases of the projections side by side and what they are added to; nothing if none has a bias.
struct Unbiased {
  std::vector<ir::Tensor> parts;
  ir::Tensor bias;
};
std::optional<Unbiased> without_biases(Fusion& at, const std::vector<ir::Tensor>& parts);

}  // namespace ferry::passes
