// DETR's masks: where each query looks, grown to the size of the first feature map.
// Source: transformers 4.57.6, models/detr/modeling_detr.py, DetrMaskHeadSmallConv and DetrMHAttentionMap.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/detr.h"

namespace ferry::models::detr {
using namespace nn;
namespace op = ir::op;

namespace {

void check(const DetrConfig& c) {
  bool fits = c.d_model % 16 == 0 && (c.d_model + c.encoder_attention_heads) % 8 == 0;
  for (int64_t level = 1; level <= 4; ++level)
    fits = fits && (c.d_model >> level) % std::min<int64_t>(8, c.d_model >> level) == 0;
  if (!fits) {
    throw Error(
        ErrorCode::unsupported,
        "image-segmentation: d_model and encoder_attention_heads do not make whole groups of channels");
  }
  if (c.backbone.features.size() < 3) {
    throw Error(ErrorCode::unsupported, "image-segmentation wants a backbone with three feature maps or more")
        .with_hint("out_features of the backbone's configuration names them");
  }
}

// Where each query looks, per head: softmax over heads and tokens together, [B, Q, heads, h, w].
Tensor attention_map(const Scope& place, const DetrConfig& c, const DetrResult& result) {
  const auto named = place.named();
  const int64_t heads = c.encoder_attention_heads;
  const double scale = 1 / std::sqrt(static_cast<double>(c.d_model) / static_cast<double>(heads));
  const Tensor q = Linear(place / "q_linear", c.d_model, c.d_model)(result.last_hidden_state) * scale;
  const Tensor k = Linear(place / "k_linear", c.d_model, c.d_model)(result.memory);
  const Tensor scores = op::matmul(split_heads(q, heads), op::transpose(split_heads(k, heads), {0, 1, 3, 2}));
  const Tensor flat = op::softmax(op::reshape(op::transpose(scores, {0, 2, 1, 3}), {0, 0, -1}));
  const Tensor first = op::integers(q.graph(), {0, 0, heads});
  return op::reshape(flat, op::concat({first, op::shape_of(result.projected, 2, 4)}, 0));
}

// DetrMaskHeadSmallConv: convolutions over an image for each query, larger from level to level.
struct MaskHead : Module<DetrConfig> {
  using Module::Module;

  Tensor operator()(const DetrResult& result, const Tensor& attention) const {  // -> [B, Q, H, W]
    const auto named = scope.named();
    const int64_t width = c.d_model + c.encoder_attention_heads;
    const Tensor copies = op::expand(op::unsqueeze(result.projected, {1}),
                                     op::integers(attention.graph(), {1, c.num_queries, 1, 1, 1}));
    const Tensor joined = op::concat({copies, attention}, 2);
    Tensor x = as_images(joined, width, result.projected);
    x = convolved(1, width, x);
    x = convolved(2, c.d_model / 2, x);
    for (int64_t level = 1; level <= 3; ++level) {
      x = with_features(level, x, result.features.at(static_cast<size_t>(3 - level)));
      x = convolved(level + 2, c.d_model >> (level + 1), x);
    }
    const Tensor images = Conv(at("out_lay"), c.d_model >> 4, 1, 3)(x);
    const Tensor first = op::integers(x.graph(), {-1, c.num_queries});
    return op::reshape(images, op::concat({first, op::shape_of(result.features[0], 2, 4)}, 0));
  }

 private:
  // [B, Q, channels, h, w] -> [B * Q, channels, h, w]
  [[nodiscard]] static Tensor as_images(const Tensor& x, int64_t channels, const Tensor& like) {
    return op::reshape(x, op::concat({op::integers(x.graph(), {-1, channels}), op::shape_of(like, 2, 4)}, 0));
  }
  [[nodiscard]] Tensor convolved(int64_t number, int64_t out, const Tensor& x) const {
    const Conv lay(at("lay" + std::to_string(number)), *x.dim(1).constant(), out, 3);
    const GroupNorm gn(at("gn" + std::to_string(number)), std::min<int64_t>(8, out), out);
    return op::unary("Relu", gn(lay(x)));
  }
  [[nodiscard]] Tensor with_features(int64_t level, const Tensor& x, const Tensor& features) const {
    const int64_t channels = c.d_model >> level;
    const Conv adapter(at("adapter" + std::to_string(level)), *features.dim(1).constant(), channels, 1);
    const Tensor more = op::unsqueeze(adapter(features), {1});  // [B, 1, channels, h, w]
    const Tensor first = op::integers(x.graph(), {-1, c.num_queries, channels});
    const Tensor larger =
        op::reshape(resize_to(x, features, "nearest"), op::concat({first, op::shape_of(features, 2, 4)}, 0));
    return as_images(larger + more, channels, features);
  }
};

}  // namespace

Tensor masks(const Scope& root, const DetrConfig& c, const DetrResult& result) {
  check(c);
  return MaskHead(root / "mask_head", c)(result, attention_map(root / "bbox_attention", c, result));
}

}  // namespace ferry::models::detr
