// SigLIP: CLIP's towers with other ends, and a bias of the scores. The text's last token sums it up, padding
// or not. Source: transformers 4.57.6, models/siglip/modeling_siglip.py. Axes: B images, T texts, N patches,
// H hidden size.
#include <cmath>

#include "models/clip.h"
#include "models/image_encoders.h"

namespace ferry::models::siglip {
using namespace nn;
namespace op = ir::op;

namespace {

struct SiglipTowerConfig : clip::ClipEncoderConfig {
  SiglipTowerConfig() {
    hidden_act = "gelu_pytorch_tanh";
    layer_norm_eps = 1e-6f;
  }
};

struct SiglipTextConfig : SiglipTowerConfig {
  SiglipTextConfig() = default;
  explicit SiglipTextConfig(ConfigReader& r) {
    read(r);
    r.read("vocab_size", vocab_size);
    r.read("max_position_embeddings", max_position_embeddings);
    projection_size = hidden_size;
    r.read("projection_size", projection_size);
  }
  int64_t vocab_size = 32000;
  int64_t max_position_embeddings = 64;
  int64_t projection_size = 768;

  [[nodiscard]] TextInputOptions text_inputs() const {
    return {vocab_size, std::nullopt, max_position_embeddings};
  }
};

struct SiglipVisionConfig : SiglipTowerConfig {
  SiglipVisionConfig() = default;
  explicit SiglipVisionConfig(ConfigReader& r) {
    read(r);
    r.read("num_channels", num_channels);
    r.read("image_size", image_size, 1, 4096);
    r.read("patch_size", patch_size, 1, image_size);
    if (num_patches() > kMostPatches) r.fail("image_size", "at most 8192 patches");
    r.only("vision_use_head", true);
  }
  int64_t num_channels = 3;
  int64_t image_size = 224;
  int64_t patch_size = 16;

  [[nodiscard]] int64_t num_patches() const { return (image_size / patch_size) * (image_size / patch_size); }
  [[nodiscard]] ImageInputOptions image_input() const {
    return {.num_channels = num_channels, .size = Size{image_size, image_size}, .any_size = false};
  }
};

struct SiglipConfig {
  explicit SiglipConfig(ConfigReader& r)
      : text(clip::tower<SiglipTextConfig>(r, "text_config")),
        vision(clip::tower<SiglipVisionConfig>(r, "vision_config")) {
    if (text.projection_size != vision.hidden_size)
      r.fail("text_config", "a projection_size that is the hidden_size of the vision_config");
  }
  SiglipTextConfig text;
  SiglipVisionConfig vision;
};

// A query that was learned looks at all patches, "probe" and torch.nn.MultiheadAttention: [B, N, H] -> [B, H]
struct AttentionPooling : Module<SiglipVisionConfig> {
  using Module::Module;
  LayerNorm layernorm{at("layernorm"), c.hidden_size, c.layer_norm_eps};
  Linear fc1{at("mlp.fc1"), c.hidden_size, c.intermediate_size};
  Linear fc2{at("mlp.fc2"), c.intermediate_size, c.hidden_size};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const int64_t heads = c.num_attention_heads, size = c.hidden_size / heads;
    const Tensor probe = scope.constant("probe", scope.weight("probe", {1, 1, c.hidden_size}));
    const Tensor q = split_heads(projected(0, probe) * (1 / std::sqrt(static_cast<double>(size))), heads);
    const Tensor k = op::transpose(split_heads(projected(1, x), heads), {0, 1, 3, 2});
    const Tensor seen = op::matmul(op::softmax(op::matmul(q, k)), split_heads(projected(2, x), heads));
    const Linear out_proj(at("attention.out_proj"), c.hidden_size, c.hidden_size);
    const Tensor y = out_proj(op::squeeze(merge_heads(seen), {1}));
    return y + fc2(activation(c.hidden_act, fc1(layernorm(y))));
  }

 private:
  // Queries, keys and values: thirds of one weight.
  [[nodiscard]] Tensor projected(int64_t third, const Tensor& x) const {
    const Scope place = at("attention");
    const int64_t h = c.hidden_size, begin = third * h;
    const Weight weight = place.weight("in_proj_weight", {3 * h, h}).slice(0, begin, begin + h);
    const Weight bias = place.weight("in_proj_bias", {3 * h}).slice(0, begin, begin + h);
    return op::matmul(x, place.constant("in_proj_weight", weight.transpose())) +
           place.constant("in_proj_bias", bias);
  }
};

struct SiglipModel : Module<SiglipConfig> {
  using Module::Module;

  Outputs operator()(const Inputs& in) const {
    return clip::similarities(scope, text(at("text_model"), in["input_ids"]),
                              image(at("vision_model"), in["pixel_values"]), {1});
  }

 private:
  [[nodiscard]] Tensor text(const Scope& tower, const Tensor& ids) const {  // -> [T, H of images]
    const SiglipTextConfig& t = c.text;
    const Tensor x = clip::text_embeddings(tower, t.text_inputs(), t.hidden_size, ids);
    const Tensor last = select(clip::encode(tower / "encoder", t, x), 1, -1);
    const Tensor y = LayerNorm(tower / "final_layer_norm", t.hidden_size, t.layer_norm_eps)(last);
    return Linear(tower / "head", t.hidden_size, t.projection_size)(y);
  }
  [[nodiscard]] Tensor image(const Scope& tower, const Tensor& pixel_values) const {  // -> [B, H]
    const SiglipVisionConfig& v = c.vision;
    const Scope embeddings = tower / "embeddings";
    const std::vector<int64_t> patch = {v.patch_size, v.patch_size};
    const Conv patch_embedding(embeddings / "patch_embedding", v.num_channels, v.hidden_size,
                               {.kernel = patch, .stride = patch});
    const Embedding positions(embeddings / "position_embedding", v.num_patches(), v.hidden_size);
    const Tensor x = image_to_tokens(patch_embedding(pixel_values)) + positions.weight();
    const Tensor y = clip::encode(tower / "encoder", v, x);
    return AttentionPooling(tower / "head",
                            v)(LayerNorm(tower / "post_layernorm", v.hidden_size, v.layer_norm_eps)(y));
  }
};

std::vector<InputSpec> inputs(const SiglipConfig& c) {
  auto out = clip::dual_inputs(c.text.text_inputs(), c.vision.image_input(), false);
  out[1].axes[0] = "image_batch_size";
  return out;
}

}  // namespace

Architecture arch() {
  return ArchBuilder<SiglipConfig>("siglip")
      .may_be_unused({"*.position_ids"})
      .inputs(inputs)
      .output_axes(clip::dual_output_axes())
      .task<SiglipModel>("feature-extraction", "SiglipModel")
      .task<SiglipModel>("zero-shot-image-classification", "SiglipModel");
}

}  // namespace ferry::models::siglip
