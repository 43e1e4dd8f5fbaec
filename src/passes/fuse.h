#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "ir/graph.h"

namespace ferry::passes {

/// What to fuse. The switches are those of Optimum's OptimizationConfig, turned round.
struct FuseOptions {
  bool gelu = true;       ///< Gelu, BiasGelu, FastGelu, QuickGelu.
  bool bias_gelu = true;  ///< The bias before a Gelu, too.
  /// SimplifiedLayerNormalization; SkipLayerNormalization and SkipSimplifiedLayerNormalization.
  bool layer_norm = true;
  bool skip_layer_norm = true;
  bool bias_skip_layer_norm = true;  ///< The bias before the sum, too.
  bool attention = true;             ///< MultiHeadAttention, GroupQueryAttention.
  bool group_query = true;           ///< GroupQueryAttention; else attention is MultiHeadAttention or stays.
  bool rotary_embeddings = true;     ///< RotaryEmbedding, or turning inside GroupQueryAttention.
  /// One product for queries, keys and values of an attention that takes them packed. Makes new weights.
  bool packed_qkv = true;
  /// Gelu by the error function becomes the one by tanh: changes numbers (up to 4.7e-4 each).
  bool gelu_approximation = false;
  /// Length of the tables of cosines and sines; 0: rotary embeddings stay as they are.
  int64_t max_positions = 0;
  /// ONNX Runtime GenAI's form of a decoder: positions are counted by the attention itself, so that the graph
  /// needs no position_ids and turns inside GroupQueryAttention; padding is at the end of a row; the cache
  /// may lie in buffers longer than the text.
  bool own_positions = false;
};

/// Raises high-level operators (Attention, RotaryEmbedding, LayerNormalization, RMSNormalization, Gelu, Swish
/// of the newest opset, as definitions and the `raise` pass give them) to ONNX Runtime's own in
/// com.microsoft. Run before legalize; what fits no rule stays as it is and is lowered there.
///
/// Attention becomes
/// - GroupQueryAttention where its mask is causal, with or without a window, over an attention_mask of
///   [batch, total]; head sizes are multiples of 8. Padding may lie anywhere: it is in `attention_bias`, and
///   seqlens_k counts every token. ONNX Runtime refuses several new tokens on a past in batches of more than
///   one row.
/// - MultiHeadAttention where keys have as many heads as queries, whatever the mask; without softcap.
/// - else stays.
///
/// Keeps: inputs, outputs and their names (own_positions drops position_ids), numbers up to rounding.
/// Returns how many nodes of each operator were made: {"SkipLayerNormalization", 24}, ...
std::map<std::string, size_t> fuse(ir::Graph& graph, const FuseOptions& options);

}  // namespace ferry::passes
