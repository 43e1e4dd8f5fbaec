// BEiT: ViT with positions relative to each other in the scores, and scaled layers.
// Source: transformers 4.57.6, models/beit/modeling_beit.py. Axes: B batch, S = 1 + patches tokens, H hidden
// size.
#include "models/image_encoders.h"
#include "models/vit.h"

namespace ferry::models::beit {
using namespace nn;
namespace op = ir::op;

namespace {

struct BeitConfig : vit::ViTConfig {
  explicit BeitConfig(ConfigReader& r) {
    read_common(r);
    r.read("intermediate_size", intermediate_size);
    r.read("use_absolute_position_embeddings", absolute);
    r.read("use_relative_position_bias", relative);
    r.read("use_shared_relative_position_bias", shared_relative);
    r.read("layer_scale_init_value", layer_scale_init_value);
    r.read("use_mean_pooling", use_mean_pooling);
    for (const char* key :
         {"vocab_size", "use_mask_token", "drop_path_rate", "pool_scales", "use_auxiliary_head",
          "auxiliary_loss_weight", "auxiliary_channels", "auxiliary_num_convs", "auxiliary_concat_input",
          "semantic_loss_ignore_index", "out_features", "out_indices", "segmentation_indices", "stage_names",
          "add_fpn", "reshape_hidden_states"})
      r.ignore(key);
    // transformers mixes height and width up when it fits the table to an image.
    if ((relative || shared_relative) && grid().height != grid().width)
      r.fail("image_size", "a square grid of patches, for relative positions");
  }
  bool absolute = false, relative = false, shared_relative = false;  // Positions.
  float layer_scale_init_value = 0.1f;                               // Above 0: layers have scales.
  bool use_mean_pooling = true;
};

// Of the first token and each patch to each other: [heads, S, S]
Tensor relative_position_bias(const Scope& place, const BeitConfig& c) {
  const auto named = place.named();
  const int64_t side = c.grid().height, span = 2 * side - 1, patches = side * side, distances = span * span;
  const Weight table =
      place.weight("relative_position_bias_table", {distances + 3, c.num_attention_heads}).transpose();
  place.ignore("relative_position_index");
  std::vector<int64_t> index;
  for (int64_t a = 0; a <= patches; ++a) {
    for (int64_t b = 0; b <= patches; ++b) {
      const int64_t p = a - 1, q = b - 1;
      const int64_t distance = (p / side - q / side + side - 1) * span + p % side - q % side + side - 1;
      index.push_back(a > 0 && b > 0 ? distance : b > 0 ? distances : a > 0 ? distances + 1 : distances + 2);
    }
  }
  const Tensor rows = op::weight(place.graph(), "relative_position_index",
                                 Weight::from_i64({patches + 1, patches + 1}, index));
  return op::gather(place.constant("relative_position_bias_table", table), rows, 1);
}

struct BeitLayer : Module<BeitConfig> {
  using Module::Module;
  LayerNorm layernorm_before{at("layernorm_before"), c.hidden_size, c.layer_norm_eps};
  LayerNorm layernorm_after{at("layernorm_after"), c.hidden_size, c.layer_norm_eps};
  Linear intermediate{at("intermediate.dense"), c.hidden_size, c.intermediate_size};
  Linear output{at("output.dense"), c.intermediate_size, c.hidden_size};

  Tensor operator()(const Tensor& x, const Tensor& shared_bias) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    Tensor bias = shared_bias;
    if (c.relative) {
      const Tensor own = relative_position_bias(at("attention.attention.relative_position_bias"), c);
      bias = bias ? own + bias : own;
    }
    if (bias) bias = op::unsqueeze(bias, {0});
    const Scope function = at("intermediate.intermediate_act_fn");
    const Tensor y = x + scaled("lambda_1", vit::attend(scope, c, layernorm_before(x), bias, false));
    const Tensor z = output(activation(c.hidden_act, intermediate(layernorm_after(y)), &function));
    return y + scaled("lambda_2", z);
  }

 private:
  [[nodiscard]] Tensor scaled(const char* name, const Tensor& x) const {
    return c.layer_scale_init_value > 0 ? x * scope.parameter(name, {c.hidden_size}) : x;
  }
};

struct BeitModel : Module<BeitConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "beit";

  Tensor hidden(const Inputs& in) const {  // -> [B, S, H]
    const Scope encoder = at("encoder");
    Tensor x = embedded(at("embeddings"), in["pixel_values"]), bias;
    if (c.shared_relative) bias = relative_position_bias(encoder / "relative_position_bias", c);
    for (const BeitLayer& layer : List<BeitLayer>(encoder / "layer", c.num_hidden_layers, c))
      x = layer(x, bias);
    return c.use_mean_pooling ? x : LayerNorm(at("layernorm"), c.hidden_size, c.layer_norm_eps)(x);
  }
  Tensor pooled(const Inputs& in) const {  // -> [B, H]
    const Tensor x = hidden(in);
    if (!c.use_mean_pooling) return select(x, 1, 0);
    const Tensor mean = op::reduce("ReduceMean", op::slice(x, 1, 1, 1 + c.num_patches()), {1}, false);
    return LayerNorm(at("pooler.layernorm"), c.hidden_size, c.layer_norm_eps)(mean);
  }
  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }

 private:
  [[nodiscard]] Tensor embedded(const Scope& embeddings, const Tensor& pixel_values) const {
    const Tensor patches = vit::patch_embeddings(embeddings / "patch_embeddings", c, pixel_values);
    const Dims dims = {1, 1 + c.num_patches(), c.hidden_size};
    const TokensAndPositions tokens{
        c.absolute ? embeddings.weight("position_embeddings", dims) : Weight::zeros(patches.dtype(), dims),
        embeddings.weight("cls_token", {1, 1, c.hidden_size})};
    return tokens.add_to(embeddings, image_to_tokens(patches));
  }
};

struct BeitForImageClassification : OverBody<BeitModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    return {{"logits", classifier(at("classifier"), c.hidden_size, c.num_labels, body.pooled(in))}};
  }
};

}  // namespace

Architecture arch() {
  return ArchBuilder<BeitConfig>("beit")
      .prefix(BeitModel::base_model_prefix)
      .may_be_unused(
          {"classifier", "lm_head", "beit.pooler", "beit.embeddings.mask_token", "*.relative_position_index"})
      .inputs([](const BeitConfig& c) { return c.image_inputs(); })
      .encodes(encoder_side<BeitModel>("pixel_values"))
      .body<BeitModel>("feature-extraction", "BeitModel")
      .task<BeitForImageClassification>("image-classification", "BeitForImageClassification");
}

}  // namespace ferry::models::beit
