#pragma once
// torch.nn's layers over grids: signals [B, C, L] and images [B, C, H, W].
#include <cstdint>
#include <vector>

#include "nn/layers.h"

namespace ferry::nn {

/// A list has one entry a spatial dimension: {k} makes a Conv1d, {k, k} a Conv2d. An empty one stands for
/// torch's default.
struct ConvOptions {
  std::vector<int64_t> kernel;
  std::vector<int64_t> stride = {};
  std::vector<int64_t> padding = {};      ///< On both sides.
  std::vector<int64_t> end_padding = {};  ///< At the end, if that is another.
  std::vector<int64_t> dilation = {};
  int64_t groups = 1;
  bool bias = true;
};

/// nn.Conv1d and nn.Conv2d: "weight" [out, in / groups, kernel...], "bias" [out].
class Conv {
 public:
  Conv(const Scope& scope, int64_t in, int64_t out, ConvOptions options);
  /// A square window over images, padding that keeps their size at stride 1.
  Conv(const Scope& scope, int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, bool bias = true);
  /// With a weight that the definition made ("weight_norm"); `bias` may be empty.
  Conv(const Scope& scope, Tensor weight, Tensor bias, ConvOptions options);
  /// [B, in, ...] -> [B, out, ...]
  Tensor operator()(const Tensor& x) const;

 private:
  Scope scope_;
  ConvOptions options_;
  Tensor weight_, bias_;
};

/// nn.BatchNorm1d/2d with its running statistics: "weight", "bias", "running_mean", "running_var" [size]. The
/// exporter moves one that follows a convolution into that one's weights.
class BatchNorm {
 public:
  BatchNorm(const Scope& scope, int64_t size, float epsilon = 1e-5f);
  Tensor operator()(const Tensor& x) const;

 private:
  Scope scope_;
  Tensor weight_, bias_, mean_, variance_;
  float epsilon_;
};

/// nn.GroupNorm: "weight", "bias" [size].
class GroupNorm {
 public:
  GroupNorm(const Scope& scope, int64_t groups, int64_t size, float epsilon = 1e-5f);
  Tensor operator()(const Tensor& x) const;

 private:
  Scope scope_;
  Tensor weight_, bias_;
  int64_t groups_;
  float epsilon_;
};

/// nn.LayerNorm over the channels of an image, [B, C, H, W].
Tensor over_channels(const LayerNorm& norm, const Tensor& x);

/// nn.MaxPool2d with a square window.
Tensor max_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding);
/// nn.AdaptiveAvgPool2d(1), flattened: [B, C, H, W] -> [B, C]
Tensor mean_of_image(const Tensor& x);
/// F.interpolate(mode="bilinear", align_corners=False) or mode="nearest", to the height and width of `like`.
Tensor resize_to(const Tensor& x, const Tensor& like, const char* mode);

}  // namespace ferry::nn
