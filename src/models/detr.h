#pragma once
// What DETR's body and its head for masks share. Axes: B images, Q queries, D d_model, N = h w tokens of the
// last feature map.
#include <string>
#include <vector>

#include "models/resnet.h"

namespace ferry::models::detr {

struct DetrConfig {
  explicit DetrConfig(nn::ConfigReader& r);
  resnet::Backbone backbone;
  int64_t num_queries = 100;
  int64_t d_model = 256;
  int64_t encoder_layers = 6;
  int64_t encoder_ffn_dim = 2048;
  int64_t encoder_attention_heads = 8;
  int64_t decoder_layers = 6;
  int64_t decoder_ffn_dim = 2048;
  int64_t decoder_attention_heads = 8;
  std::string activation_function = "relu";
  std::string position_embedding_type = "sine";
  bool auxiliary_loss = false;  // The decoder's norm follows each of its layers, too.
  int64_t num_labels = 2;
  bool norms_first = false;  // Table Transformer.
};

struct DetrResult {
  std::vector<nn::Tensor> features;  // Of the backbone, each [B, C, H, W].
  nn::Tensor projected;              // The last of them, [B, D, h, w].
  nn::Tensor memory;                 // [B, N, D]
  nn::Tensor last_hidden_state;      // [B, Q, D]
};

/// pred_masks [B, Q, H, W]: "bbox_attention" and "mask_head" of a model for segmentation.
/// Errors: Error{unsupported} where its sizes make no whole groups of channels, or feature maps are missing.
nn::Tensor masks(const nn::Scope& root, const DetrConfig& config, const DetrResult& result);

}  // namespace ferry::models::detr
