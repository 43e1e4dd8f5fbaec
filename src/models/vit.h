#pragma once
// ViT's parts that other encoders of images share.
#include <functional>
#include <string>

#include "nn/encoder.h"
#include "nn/image.h"

namespace ferry::models::vit {

struct ViTConfig {
  ViTConfig() = default;
  explicit ViTConfig(nn::ConfigReader& r) { read(r); }
  void read(nn::ConfigReader& r);
  /// What all relatives have, too.
  void read_common(nn::ConfigReader& r);

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

  /// The patches of an image, and how many they are.
  [[nodiscard]] nn::Size grid() const {
    return {image_size.height / patch_size.height, image_size.width / patch_size.width};
  }
  [[nodiscard]] int64_t num_patches() const { return grid().height * grid().width; }
  /// pixel_values of the one size that the positions are for.
  [[nodiscard]] std::vector<nn::InputSpec> image_inputs() const {
    return {nn::image_input({.num_channels = num_channels, .size = image_size, .any_size = false})};
  }
};

/// ViTPatchEmbeddings, "projection": [B, C, H, W] -> [B, hidden, h, w], a vector for each patch
nn::Tensor patch_embeddings(const nn::Scope& place, const ViTConfig& config, const nn::Tensor& pixel_values);
/// ViTAttention, "attention.attention" and "attention.output.dense" of a layer: [B, S, hidden] -> [B, S,
/// hidden]. `bias` is added to the scores; without `key_bias` the keys' projection has none.
nn::Tensor attend(const nn::Scope& layer, const ViTConfig& config, const nn::Tensor& x,
                  const nn::Tensor& bias = {}, bool key_bias = true);
/// The layers "encoder.layer.N" and the norm "layernorm" of a body: [B, S, hidden] -> [B, S, hidden]. What
/// `after` makes of a layer's result, by its number, is the next one's input.
using AfterLayer = std::function<nn::Tensor(const nn::Tensor& x, int64_t layer)>;
nn::Tensor encode(const nn::Scope& body, const ViTConfig& config, const nn::Tensor& x,
                  const AfterLayer& after = {});

struct ViTModel : nn::Module<ViTConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "vit";

  nn::Tensor hidden(const nn::Inputs& in) const;  // -> [B, 1 + patches, hidden]
  nn::Outputs operator()(const nn::Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

/// ViT with a second token of its own before the patches.
struct DeiTModel : nn::Module<ViTConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "deit";

  nn::Tensor hidden(const nn::Inputs& in) const;  // -> [B, 2 + patches, hidden]
  nn::Outputs operator()(const nn::Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

/// A classifier of the first token.
template <typename Body>
struct FirstTokenForImageClassification : nn::OverBody<Body> {
  using nn::OverBody<Body>::OverBody;

  nn::Outputs operator()(const nn::Inputs& in) const {  // -> [B, labels]
    const nn::Tensor first = nn::select(this->body.hidden(in), 1, 0);
    return {
        {"logits", nn::classifier(this->at("classifier"), this->c.hidden_size, this->c.num_labels, first)}};
  }
};

/// The image again, from the tokens after the first: as many as there are patches.
/// [B, S, hidden] -> [B, C, H, W]
nn::Tensor reconstruction(const nn::Scope& decoder, const ViTConfig& config, const nn::Tensor& hidden);

template <typename Body>
struct ForMaskedImageModeling : nn::OverBody<Body> {
  using nn::OverBody<Body>::OverBody;

  nn::Outputs operator()(const nn::Inputs& in) const {
    return {{"reconstruction", reconstruction(this->at("decoder"), this->c, this->body.hidden(in))}};
  }
};

}  // namespace ferry::models::vit
