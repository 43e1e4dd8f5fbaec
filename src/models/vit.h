#pragma once
// ViT's parts that other encoders of images share.
#include <string>

#include "nn/image.h"

namespace ferry::models::vit {

struct ViTConfig {
  ViTConfig() = default;
  explicit ViTConfig(nn::ConfigReader& r) { read(r); }
  void read(nn::ConfigReader& r);

  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  std::string hidden_act = "gelu";
  float layer_norm_eps = 1e-12f;
  nn::Size image_size{224, 224};
  nn::Size patch_size{16, 16};
  int64_t num_channels = 3;
  bool qkv_bias = true;
  int64_t encoder_stride = 16;
  int64_t num_labels = 2;

  /// How many patches an image has.
  [[nodiscard]] int64_t num_patches() const {
    return image_size.height / patch_size.height * (image_size.width / patch_size.width);
  }
  /// pixel_values of the one size that the positions are for.
  [[nodiscard]] std::vector<nn::InputSpec> image_inputs() const {
    return {nn::image_input({.num_channels = num_channels, .size = image_size, .any_size = false})};
  }
};

/// ViTPatchEmbeddings, "projection": [B, C, H, W] -> [B, patches, hidden]
nn::Tensor patch_embeddings(const nn::Scope& place, const ViTConfig& config, const nn::Tensor& pixel_values);
/// The layers "encoder.layer.N" and the norm "layernorm" of a body: [B, S, hidden] -> [B, S, hidden]
nn::Tensor encode(const nn::Scope& body, const ViTConfig& config, const nn::Tensor& x);

struct ViTModel : nn::Module<ViTConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "vit";

  nn::Tensor hidden(const nn::Inputs& in) const;  // -> [B, 1 + patches, hidden]
  nn::Outputs operator()(const nn::Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

}  // namespace ferry::models::vit
