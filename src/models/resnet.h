#pragma once
// ResNet's body, which detectors share.
#include <string>
#include <string_view>
#include <vector>

#include "nn/image.h"

namespace ferry::models::resnet {

struct ResNetConfig {
  ResNetConfig() = default;
  explicit ResNetConfig(nn::ConfigReader& r) { read(r); }
  void read(nn::ConfigReader& r);

  int64_t num_channels = 3;
  int64_t embedding_size = 64;
  std::vector<int64_t> hidden_sizes = {256, 512, 1024, 2048};
  std::vector<int64_t> depths = {3, 4, 6, 3};
  std::string layer_type = "bottleneck";
  std::string hidden_act = "relu";
  bool downsample_in_first_stage = false;
  bool downsample_in_bottleneck = false;
  int64_t num_labels = 2;
  /// Names as timm gives them ("layer1.0.conv1", "bn1", "downsample"), for a backbone.
  bool timm_names = false;
  /// The most that an image shrinks; stages that would shrink it further dilate instead (timm). 0: any.
  int64_t output_stride = 0;
};

/// Makes `config` timm's ResNet of that name ("resnet50.a1_in1k": what follows the point says which weights),
/// with the arguments of its constructor where there are any. False if timm has no such, or it is not known.
bool read_timm_resnet(std::string_view name, nn::ConfigReader* arguments, ResNetConfig& config);
/// Those that are known.
std::vector<std::string> timm_resnet_names();

/// The configuration of a backbone and the feature maps that are its result, indices of feature_maps().
struct Backbone {
  ResNetConfig config;
  std::vector<size_t> features;
};
/// As transformers' load_backbone reads "backbone_config", or "backbone" and "backbone_kwargs" for timm's.
/// Errors: Error{unsupported} for one that is no ResNet.
Backbone read_backbone(nn::ConfigReader& r);

/// What the stages of the body at `body` make of an image: the stem's result first, the last stage's last.
/// [B, C, H, W] -> [B, hidden_sizes[i], H / 4, W / 4], halved from the second stage on.
std::vector<nn::Tensor> feature_maps(const nn::Scope& body, const ResNetConfig& config,
                                     const nn::Tensor& pixel_values);

}  // namespace ferry::models::resnet
