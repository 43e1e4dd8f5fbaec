// ViT: an image's patches as the tokens of a transformer. Positions are for one size of image (transformers'
// interpolate_pos_encoding is off, as in Optimum's exports); the pooler is in none of the graphs' results.
// Source: transformers 4.57.6, models/vit/modeling_vit.py. Axes: B batch, S tokens, H hidden size.
#include "models/vit.h"

#include <cmath>

#include "base/error.h"
#include "models/image_encoders.h"
#include "nn/encoder.h"

namespace ferry::models::vit {
using namespace nn;
namespace op = ir::op;

void ViTConfig::read(ConfigReader& r) {
  r.read("hidden_size", hidden_size);
  r.read("num_hidden_layers", num_hidden_layers);
  r.read("num_attention_heads", num_attention_heads);
  r.read("intermediate_size", intermediate_size);
  r.read_choice("hidden_act", hidden_act, activation_names());
  r.read("layer_norm_eps", layer_norm_eps);
  read_size(r, "image_size", image_size);
  read_size(r, "patch_size", patch_size);
  r.read("num_channels", num_channels);
  r.read("qkv_bias", qkv_bias);
  r.read("encoder_stride", encoder_stride, 1, 1024);
  r.must_be_empty("pruned_heads");
  for (const char* key : {"pooler_output_size", "pooler_act"}) r.ignore(key);
  if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
  if (num_patches() == 0) r.fail("patch_size", "no more than image_size");
  num_labels = labels_or_none(r);
}

Tensor patch_embeddings(const Scope& place, const ViTConfig& c, const Tensor& pixel_values) {
  const std::vector<int64_t> patch = {c.patch_size.height, c.patch_size.width};
  const Conv projection(place / "projection", c.num_channels, c.hidden_size,
                        {.kernel = patch, .stride = patch});
  return image_to_tokens(projection(pixel_values));
}

namespace {

struct ViTSelfAttention : Module<ViTConfig> {
  using Module::Module;
  Linear query{at("query"), c.hidden_size, c.hidden_size, c.qkv_bias};
  Linear key{at("key"), c.hidden_size, c.hidden_size, c.qkv_bias};
  Linear value{at("value"), c.hidden_size, c.hidden_size, c.qkv_bias};

  Tensor operator()(const Tensor& x) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    return op::attention(query(x), key(x), value(x), {.heads = c.num_attention_heads});
  }
};

struct ViTLayer : Module<ViTConfig> {
  using Module::Module;
  LayerNorm layernorm_before{at("layernorm_before"), c.hidden_size, c.layer_norm_eps};
  ViTSelfAttention attention{at("attention.attention"), c};
  Linear attention_output{at("attention.output.dense"), c.hidden_size, c.hidden_size};
  LayerNorm layernorm_after{at("layernorm_after"), c.hidden_size, c.layer_norm_eps};
  Linear intermediate{at("intermediate.dense"), c.hidden_size, c.intermediate_size};
  Linear output{at("output.dense"), c.intermediate_size, c.hidden_size};

  Tensor operator()(const Tensor& x) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Scope function = at("intermediate.intermediate_act_fn");
    const Tensor y = x + attention_output(attention(layernorm_before(x)));
    return y + output(activation(c.hidden_act, intermediate(layernorm_after(y)), &function));
  }
};

struct ViTForImageClassification : OverBody<ViTModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    const Tensor first = select(body.hidden(in), 1, 0);
    return {{"logits", classifier(at("classifier"), c.hidden_size, c.num_labels, first)}};
  }
};

struct ViTForMaskedImageModeling : OverBody<ViTModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, C, H, W]
    const int64_t patches = c.num_patches();
    const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(patches)));
    if (side * side != patches) {
      throw Error(ErrorCode::unsupported,
                  "masked-im reconstructs a square grid of patches; image_size and "
                  "patch_size make another");
    }
    const Tensor tokens = op::slice(body.hidden(in), 1, 1, 1 + patches);
    const Tensor sides = op::integers(tokens.graph(), {side});
    return {{"reconstruction", reconstruct(at("decoder"), c.num_channels, c.encoder_stride,
                                           tokens_to_image(tokens, sides, sides))}};
  }
};

}  // namespace

Tensor encode(const Scope& body, const ViTConfig& c, const Tensor& x) {
  Tensor y = x;
  for (const ViTLayer& layer : List<ViTLayer>(body / "encoder.layer", c.num_hidden_layers, c)) y = layer(y);
  return LayerNorm(body / "layernorm", c.hidden_size, c.layer_norm_eps)(y);
}

Tensor ViTModel::hidden(const Inputs& in) const {
  const Scope embeddings = at("embeddings");
  const Tensor patches = patch_embeddings(embeddings / "patch_embeddings", c, in["pixel_values"]);
  const TokensAndPositions tokens{
      embeddings.weight("position_embeddings", {1, 1 + c.num_patches(), c.hidden_size}),
      embeddings.weight("cls_token", {1, 1, c.hidden_size})};
  return encode(scope, c, tokens.add_to(embeddings, patches));
}

Architecture arch() {
  return ArchBuilder<ViTConfig>("vit")
      .prefix(ViTModel::base_model_prefix)
      .may_be_unused({"classifier", "decoder", "vit.pooler", "vit.embeddings.mask_token"})
      .inputs([](const ViTConfig& c) { return c.image_inputs(); })
      .body<ViTModel>("feature-extraction", "ViTModel")
      .task<ViTForImageClassification>("image-classification", "ViTForImageClassification")
      .task<ViTForMaskedImageModeling>("masked-im", "ViTForMaskedImageModeling");
}

}  // namespace ferry::models::vit
