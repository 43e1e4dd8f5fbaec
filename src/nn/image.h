#pragma once
// What models of images share: their input, patches as tokens, heads.
#include <optional>

#include "nn/architecture.h"
#include "nn/convolution.h"

namespace ferry::nn {

/// A height and a width: of an image, of a patch, or of a grid of patches.
struct Size {
  int64_t height = 0, width = 0;
};

/// The most patches of an image that attention is built over: its scores would fill the memory when
/// validated.
inline constexpr int64_t kMostPatches = 8192;

/// One whole number for both, or a list of height and width, each from 1 to 4096.
void read_size(ConfigReader& r, std::string_view key, Size& value);
/// A list of whole numbers from 1 to 2^20, as many as `count` if that is not 0.
void read_sizes(ConfigReader& r, std::string_view key, std::vector<int64_t>& value, size_t count = 0);
/// Keys that transformers before 4.40 writes into nested configurations whatever the model: each has one
/// value here.
void read_nested_defaults(ConfigReader& r);
/// As PretrainedConfig.num_labels; 0 where id2label is empty: a head that does nothing.
int64_t labels_or_none(ConfigReader& r);

struct ImageInputOptions {
  int64_t num_channels = 3;
  std::optional<Size> size = {};  ///< What the configuration says an image has.
  bool any_size = true;           ///< Whether the model takes others, too.
  int64_t least = 1;              ///< The smallest height and width that it takes.
  bool named = true;              ///< Whether the axes after the first have names, fixed or not, in Optimum.
};
/// pixel_values [batch_size, channels, height, width]
InputSpec image_input(const ImageInputOptions& options);

/// [B, C, H, W] -> [B, H * W, C]
Tensor image_to_tokens(const Tensor& x);
/// [B, H * W, C] -> [B, C, H, W]; height and width are i64[1].
Tensor tokens_to_image(const Tensor& x, const Tensor& height, const Tensor& width);

/// Learned tokens beside those of the patches, and a position for each.
struct TokensAndPositions {
  Weight positions;  ///< [..., tokens + patches, H]
  Weight before;     ///< [..., tokens, H]
  std::optional<Weight> after = {};
  /// patches [B, N, H] -> [B, before + N + after, H]. The tokens are part of their positions' weights: an
  /// image adds none of its own.
  [[nodiscard]] Tensor add_to(const Scope& place, const Tensor& patches) const;
};

/// Learned positions [layers, grid.height * grid.width, H] for the patches of `image` [B, ?, h, w], by
/// bicubic interpolation: [layers, h * w, H]. Source: interpolate_pos_encoding of transformers 4.57.6.
Tensor interpolated_positions(const Scope& place, const Weight& positions, const Size& grid,
                              const Tensor& image);

/// nn.Linear(in, labels) of one vector an image [B, in], or nothing where there are no labels.
Tensor classifier(const Scope& place, int64_t in, int64_t labels, const Tensor& x);

/// SimMIM's decoder: a convolution at "0" and nn.PixelShuffle(stride).
/// [B, C, h, w] -> [B, channels, h * stride, w * stride]
Tensor reconstruct(const Scope& decoder, int64_t channels, int64_t stride, const Tensor& image);

}  // namespace ferry::nn
