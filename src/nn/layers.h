#pragma once
// torch.nn's layers as transformers uses them.
#include <optional>
#include <string>
#include <string_view>

#include "nn/module.h"

namespace ferry::nn {

/// nn.Linear: y = x W^T + b; "weight" [out, in], "bias" [out].
class Linear {
 public:
  Linear(const Scope& scope, int64_t in, int64_t out, bool bias = true);
  /// [..., in] -> [..., out]
  Tensor operator()(const Tensor& x) const;

 private:
  Scope scope_;
  Tensor weight_;  // [in, out]
  Tensor bias_;
};

/// transformers' Conv1D (GPT-2): a Linear whose "weight" is stored as [in, out].
class Conv1D {
 public:
  Conv1D(const Scope& scope, int64_t in, int64_t out);
  Tensor operator()(const Tensor& x) const;

 private:
  Scope scope_;
  Tensor weight_, bias_;
};

/// nn.Embedding: "weight" [count, size].
class Embedding {
 public:
  Embedding(const Scope& scope, int64_t count, int64_t size);
  /// i64[...] -> [..., size]
  Tensor operator()(const Tensor& ids) const;
  [[nodiscard]] const Tensor& weight() const { return weight_; }
  /// Rows [0, length) as [length, size], length i64[1]: the embeddings of positions 0, 1, 2, ...
  [[nodiscard]] Tensor first_rows(const Tensor& length) const;
  /// x times the table, transposed: the output projection of a language model that shares its input
  /// embeddings. The table stays one weight of the graph.
  [[nodiscard]] Tensor project(const Tensor& x) const;

 private:
  Scope scope_;
  Tensor weight_;
};

/// nn.LayerNorm over the last dimension: "weight", "bias" [size].
class LayerNorm {
 public:
  LayerNorm(const Scope& scope, int64_t size, float epsilon, bool bias = true);
  Tensor operator()(const Tensor& x) const;

 private:
  Scope scope_;
  Tensor weight_, bias_;
  float epsilon_;
};

/// y = x weight / sqrt(mean(x^2) + epsilon) over the last dimension: "weight" [size]. Where checkpoints hold
/// the distance from 1 (Gemma), `offset` is 1.
class RMSNorm {
 public:
  RMSNorm(const Scope& scope, int64_t size, float epsilon, float offset = 0);
  Tensor operator()(const Tensor& x) const;

 private:
  Scope scope_;
  Tensor weight_;
  float epsilon_;
};

/// The functions of transformers 4.57.6 activations.py ACT2FN, by its names. `scope` is where the
/// activation's own parameters lie ("prelu", "xielu"). Errors: Error{unsupported} with the known names.
Tensor activation(std::string_view name, const Tensor& x, const Scope* scope = nullptr);
/// Those names.
const std::vector<std::string>& activation_names();

/// 0 where attention_mask i64[B, S] is 1, the dtype's lowest number where it is 0: [B, 1, 1, S].
/// Source: transformers 4.57.6 modeling_attn_mask_utils.py AttentionMaskConverter._expand_mask.
Tensor additive_mask(const Tensor& attention_mask, DType dtype);
/// additive_mask and, for each query, the keys after it: [B, 1, S, S].
Tensor causal_additive_mask(const Tensor& attention_mask, DType dtype);
/// finfo(dtype).min
double lowest(DType dtype);

/// The element at position `index` of `axis`, that axis dropped.
Tensor select(const Tensor& x, int64_t axis, int64_t index);
/// [B, S, heads * size] -> [B, heads, S, size]
Tensor split_heads(const Tensor& x, int64_t heads);
/// [B, heads, S, size] -> [B, S, heads * size]
Tensor merge_heads(const Tensor& x);

}  // namespace ferry::nn
