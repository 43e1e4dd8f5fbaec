// ViT: an image's patches as the tokens of a transformer. Positions are for one size of image (transformers'
// interpolate_pos_encoding is off, as in Optimum's exports); the pooler is in none of the graphs' results.
// Source: transformers 4.57.6, models/vit/modeling_vit.py. Axes: B batch, S tokens, H hidden size.
#include "models/vit.h"

#include <cmath>

#include "base/error.h"
#include "models/image_encoders.h"

namespace ferry::models::vit {
using namespace nn;
namespace op = ir::op;

void ViTConfig::read_common(ConfigReader& r) {
  r.read("hidden_size", hidden_size);
  r.read("num_hidden_layers", num_hidden_layers);
  r.read("num_attention_heads", num_attention_heads);
  r.read_choice("hidden_act", hidden_act, activation_names());
  r.read("layer_norm_eps", layer_norm_eps);
  read_size(r, "image_size", image_size);
  read_size(r, "patch_size", patch_size);
  r.read("num_channels", num_channels);
  r.read("qkv_bias", qkv_bias);
  r.must_be_empty("pruned_heads");
  if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
  if (num_patches() == 0) r.fail("patch_size", "no more than image_size");
  if (num_patches() > kMostPatches) r.fail("image_size", "at most 8192 patches");
  num_labels = labels_or_none(r);
}

void ViTConfig::read(ConfigReader& r) {
  read_common(r);
  r.read("intermediate_size", intermediate_size);
  r.read("encoder_stride", encoder_stride, 1, 1024);
  for (const char* key : {"pooler_output_size", "pooler_act"}) r.ignore(key);
}

Tensor patch_embeddings(const Scope& place, const ViTConfig& c, const Tensor& pixel_values) {
  const std::vector<int64_t> patch = {c.patch_size.height, c.patch_size.width};
  const Conv projection(place / "projection", c.num_channels, c.hidden_size,
                        {.kernel = patch, .stride = patch});
  return projection(pixel_values);
}

Tensor attend(const Scope& layer, const ViTConfig& c, const Tensor& x, const Tensor& bias, bool key_bias) {
  const Scope place = layer / "attention.attention";
  const auto named = place.named();
  const Linear query(place / "query", c.hidden_size, c.hidden_size, c.qkv_bias);
  const Linear key(place / "key", c.hidden_size, c.hidden_size, c.qkv_bias && key_bias);
  const Linear value(place / "value", c.hidden_size, c.hidden_size, c.qkv_bias);
  const Linear output(layer / "attention.output.dense", c.hidden_size, c.hidden_size);
  return output(op::attention(query(x), key(x), value(x), {.mask = bias, .heads = c.num_attention_heads}));
}

namespace {

struct ViTLayer : Module<ViTConfig> {
  using Module::Module;
  LayerNorm layernorm_before{at("layernorm_before"), c.hidden_size, c.layer_norm_eps};
  LayerNorm layernorm_after{at("layernorm_after"), c.hidden_size, c.layer_norm_eps};
  Linear intermediate{at("intermediate.dense"), c.hidden_size, c.intermediate_size};
  Linear output{at("output.dense"), c.intermediate_size, c.hidden_size};

  Tensor operator()(const Tensor& x) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Scope function = at("intermediate.intermediate_act_fn");
    const Tensor y = x + attend(scope, c, layernorm_before(x));
    return y + output(activation(c.hidden_act, intermediate(layernorm_after(y)), &function));
  }
};

}  // namespace

Tensor encode(const Scope& body, const ViTConfig& c, const Tensor& x, const AfterLayer& after) {
  Tensor y = x;
  int64_t number = 0;
  for (const ViTLayer& layer : List<ViTLayer>(body / "encoder.layer", c.num_hidden_layers, c)) {
    y = layer(y);
    if (after) y = after(y, number++);
  }
  return LayerNorm(body / "layernorm", c.hidden_size, c.layer_norm_eps)(y);
}

Tensor reconstruction(const Scope& decoder, const ViTConfig& c, const Tensor& hidden) {
  const int64_t patches = c.num_patches();
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(patches)));
  if (side * side != patches) {
    throw Error(ErrorCode::unsupported,
                "masked-im reconstructs a square grid of patches; image_size and patch_size make another");
  }
  const Tensor sides = op::integers(hidden.graph(), {side});
  const Tensor image = tokens_to_image(op::slice(hidden, 1, 1, 1 + patches), sides, sides);
  return reconstruct(decoder, c.num_channels, c.encoder_stride, image);
}

Tensor ViTModel::hidden(const Inputs& in) const {
  const Scope embeddings = at("embeddings");
  const Tensor patches = patch_embeddings(embeddings / "patch_embeddings", c, in["pixel_values"]);
  const TokensAndPositions tokens{
      embeddings.weight("position_embeddings", {1, 1 + c.num_patches(), c.hidden_size}),
      embeddings.weight("cls_token", {1, 1, c.hidden_size})};
  return encode(scope, c, tokens.add_to(embeddings, image_to_tokens(patches)));
}

Architecture arch() {
  return ArchBuilder<ViTConfig>("vit")
      .prefix(ViTModel::base_model_prefix)
      .may_be_unused({"classifier", "decoder", "vit.pooler", "vit.embeddings.mask_token"})
      .inputs([](const ViTConfig& c) { return c.image_inputs(); })
      .encodes(encoder_side<ViTModel>("pixel_values"))
      .body<ViTModel>("feature-extraction", "ViTModel")
      .task<FirstTokenForImageClassification<ViTModel>>("image-classification", "ViTForImageClassification")
      .task<ForMaskedImageModeling<ViTModel>>("masked-im", "ViTForMaskedImageModeling");
}

}  // namespace ferry::models::vit
