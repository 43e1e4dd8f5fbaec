#pragma once
// The transformer of CLIP's towers, which its relatives share.
#include <optional>
#include <string>

#include "nn/image.h"

namespace ferry::models::clip {

struct ClipEncoderConfig {
  void read(nn::ConfigReader& r);

  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  std::string hidden_act = "quick_gelu";
  float layer_norm_eps = 1e-5f;
};

/// What a position sees: an additive mask, and whether those after it are hidden.
struct ClipMask {
  nn::Tensor additive = {};
  bool causal = false;
};

/// CLIPEncoder, "layers.N": [B, S, H] -> [B, S, H]
nn::Tensor encode(const nn::Scope& place, const ClipEncoderConfig& config, const nn::Tensor& x,
                  const ClipMask& mask = {});

/// What old configurations have under "<key>_dict" comes before what they have under the key.
template <typename C>
C tower(nn::ConfigReader& r, const std::string& key) {
  auto old = r.object(key + "_dict"), now = r.object(key);
  if (!old && !now) return C();
  nn::ConfigReader& used = old ? *old : *now;
  C out(used);
  nn::read_nested_defaults(used);
  r.adopt_unknown(key, used);
  return out;
}

/// Token and position embeddings of a tower for texts, below "embeddings": ids i64[T, S] -> [T, S, H]
nn::Tensor text_embeddings(const nn::Scope& tower, const nn::TextInputOptions& text, int64_t hidden_size,
                           const nn::Tensor& ids);

/// How near texts [T, P] and images [B, P] are, with their vectors at unit length: the four outputs of such a
/// model. "logit_scale" and, if it has one, "logit_bias" lie at `root` as [] or [1].
nn::Outputs similarities(const nn::Scope& root, const nn::Tensor& text, const nn::Tensor& image,
                         const Dims& scalar);

/// input_ids, pixel_values and attention_mask in this order, and the names that Optimum gives to the outputs'
/// axes. Without `mask` there is no attention_mask.
std::vector<nn::InputSpec> dual_inputs(const nn::TextInputOptions& text, const nn::ImageInputOptions& image,
                                       bool mask);
nn::OutputAxes dual_output_axes();

}  // namespace ferry::models::clip
