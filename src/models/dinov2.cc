// DINOv2: ViT with scaled layers, for images of any size: positions are interpolated.
// Source: transformers 4.57.6, models/dinov2/modeling_dinov2.py. Axes: B batch, S = 1 + patches tokens, H
// hidden size.
#include <cmath>

#include "models/image_encoders.h"
#include "models/vit.h"

namespace ferry::models::dinov2 {
using namespace nn;
namespace op = ir::op;

namespace {

struct Dinov2Config : vit::ViTConfig {
  explicit Dinov2Config(ConfigReader& r) {
    patch_size = {14, 14};
    layer_norm_eps = 1e-6f;
    read_common(r);
    double mlp_ratio = 4;
    r.read("mlp_ratio", mlp_ratio);
    if (!(mlp_ratio > 0 && mlp_ratio < 1024)) r.fail("mlp_ratio", "a number from 0 to 1024");
    intermediate_size = static_cast<int64_t>(static_cast<double>(hidden_size) * mlp_ratio);
    r.read("use_swiglu_ffn", use_swiglu_ffn);
    if (use_swiglu_ffn) intermediate_size = (intermediate_size * 2 / 3 + 7) / 8 * 8;
    for (const char* key : {"layerscale_value", "drop_path_rate", "use_mask_token", "apply_layernorm",
                            "reshape_hidden_states", "out_features", "out_indices", "stage_names"})
      r.ignore(key);
    if (grid().height != grid().width) r.fail("image_size", "a square: positions are interpolated from one");
  }
  bool use_swiglu_ffn = false;
};

struct Dinov2Layer : Module<Dinov2Config> {
  using Module::Module;
  LayerNorm norm1{at("norm1"), c.hidden_size, c.layer_norm_eps};
  LayerNorm norm2{at("norm2"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(const Tensor& x) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Tensor y = x + scaled("layer_scale1", vit::attend(scope, c, norm1(x)));
    return y + scaled("layer_scale2", c.use_swiglu_ffn ? swiglu(norm2(y)) : mlp(norm2(y)));
  }

 private:
  [[nodiscard]] Tensor scaled(const char* name, const Tensor& x) const {
    return x * at(name).parameter("lambda1", {c.hidden_size});
  }
  [[nodiscard]] Tensor mlp(const Tensor& x) const {
    const Scope function = at("mlp.activation");
    const Linear fc1(at("mlp.fc1"), c.hidden_size, c.intermediate_size);
    return Linear(at("mlp.fc2"), c.intermediate_size,
                  c.hidden_size)(activation(c.hidden_act, fc1(x), &function));
  }
  [[nodiscard]] Tensor swiglu(const Tensor& x) const {
    const int64_t inner = c.intermediate_size;
    const auto halves =
        op::split(Linear(at("mlp.weights_in"), c.hidden_size, 2 * inner)(x), -1, {inner, inner});
    return Linear(at("mlp.weights_out"), inner, c.hidden_size)(activation("silu", halves[0]) * halves[1]);
  }
};

struct Dinov2Model : Module<Dinov2Config> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "dinov2";

  Tensor hidden(const Inputs& in) const {  // -> [B, S, H]
    Tensor x = embedded(at("embeddings"), in["pixel_values"]);
    for (const Dinov2Layer& layer : List<Dinov2Layer>(at("encoder.layer"), c.num_hidden_layers, c))
      x = layer(x);
    return LayerNorm(at("layernorm"), c.hidden_size, c.layer_norm_eps)(x);
  }
  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }

 private:
  [[nodiscard]] Tensor embedded(const Scope& embeddings, const Tensor& pixel_values) const {
    const Tensor patches = vit::patch_embeddings(embeddings / "patch_embeddings", c, pixel_values);
    const auto named = embeddings.named();
    const int64_t all = 1 + c.num_patches();
    const Weight positions = embeddings.weight("position_embeddings", {1, all, c.hidden_size});
    const Weight first = positions.slice(1, 0, 1).add(embeddings.weight("cls_token", {1, 1, c.hidden_size}));
    const Tensor table =
        op::concat({embeddings.constant("cls_token_and_position", first),
                    interpolated_positions(embeddings, positions.slice(1, 1, all), c.grid(), patches)},
                   1);
    const Tensor pads = op::integers(patches.graph(), {0, 1, 0, 0, 0, 0});
    return op::emit("Pad", {image_to_tokens(patches), pads}) + table;
  }
};

struct Dinov2ForImageClassification : OverBody<Dinov2Model> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    const Tensor hidden = body.hidden(in);
    const Tensor patches = op::slice(hidden, 1, 1, INT64_MAX);
    const Tensor both = op::concat({select(hidden, 1, 0), op::reduce("ReduceMean", patches, {1}, false)}, 1);
    return {{"logits", classifier(at("classifier"), 2 * c.hidden_size, c.num_labels, both)}};
  }
};

}  // namespace

Architecture arch() {
  return ArchBuilder<Dinov2Config>("dinov2")
      .prefix(Dinov2Model::base_model_prefix)
      .may_be_unused({"classifier", "dinov2.embeddings.mask_token"})
      .inputs([](const Dinov2Config& c) {
        return std::vector{image_input({.num_channels = c.num_channels,
                                        .size = c.image_size,
                                        .least = std::max(c.patch_size.height, c.patch_size.width)})};
      })
      .encodes(encoder_side<Dinov2Model>("pixel_values"))
      .body<Dinov2Model>("feature-extraction", "Dinov2Model")
      .task<Dinov2ForImageClassification>("image-classification", "Dinov2ForImageClassification");
}

}  // namespace ferry::models::dinov2
