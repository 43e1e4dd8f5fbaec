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

/// x / |x| over the last dimension.
nn::Tensor unit_length(const nn::Tensor& x);

/// input_ids, pixel_values and attention_mask in this order, and the names that Optimum gives to the outputs'
/// axes. Without `mask` there is no attention_mask.
std::vector<nn::InputSpec> dual_inputs(const nn::TextInputOptions& text, const nn::ImageInputOptions& image,
                                       bool mask);
nn::OutputAxes dual_output_axes();

}  // namespace ferry::models::clip
