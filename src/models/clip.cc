// CLIP: a tower for texts, one for images, and how near their results are; and each tower alone.
// Source: transformers 4.57.6, models/clip/modeling_clip.py. Axes: B images, T texts, S tokens, H hidden
// size, P projection_dim.
#include "models/clip.h"

#include <cmath>

#include "models/image_encoders.h"
#include "nn/encoder.h"

namespace ferry::models::clip {
using namespace nn;
namespace op = ir::op;

void ClipEncoderConfig::read(ConfigReader& r) {
  r.read("hidden_size", hidden_size);
  r.read("intermediate_size", intermediate_size);
  r.read("num_hidden_layers", num_hidden_layers);
  r.read("num_attention_heads", num_attention_heads);
  r.read_choice("hidden_act", hidden_act, activation_names());
  r.read("layer_norm_eps", layer_norm_eps);
  if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
}

namespace {

struct CLIPAttention : Module<ClipEncoderConfig> {
  using Module::Module;
  Linear q_proj{at("q_proj"), c.hidden_size, c.hidden_size};
  Linear k_proj{at("k_proj"), c.hidden_size, c.hidden_size};
  Linear v_proj{at("v_proj"), c.hidden_size, c.hidden_size};
  Linear out_proj{at("out_proj"), c.hidden_size, c.hidden_size};

  Tensor operator()(const Tensor& x, const ClipMask& mask) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    return out_proj(
        op::attention(q_proj(x), k_proj(x), v_proj(x),
                      {.mask = mask.additive, .heads = c.num_attention_heads, .causal = mask.causal}));
  }
};

struct CLIPEncoderLayer : Module<ClipEncoderConfig> {
  using Module::Module;
  CLIPAttention self_attn{at("self_attn"), c};
  LayerNorm layer_norm1{at("layer_norm1"), c.hidden_size, c.layer_norm_eps};
  LayerNorm layer_norm2{at("layer_norm2"), c.hidden_size, c.layer_norm_eps};
  Linear fc1{at("mlp.fc1"), c.hidden_size, c.intermediate_size};
  Linear fc2{at("mlp.fc2"), c.intermediate_size, c.hidden_size};

  Tensor operator()(const Tensor& x, const ClipMask& mask) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Scope function = at("mlp.activation_fn");
    const Tensor y = x + self_attn(layer_norm1(x), mask);
    return y + fc2(activation(c.hidden_act, fc1(layer_norm2(y)), &function));
  }
};

}  // namespace

Tensor encode(const Scope& place, const ClipEncoderConfig& c, const Tensor& x, const ClipMask& mask) {
  Tensor y = x;
  for (const CLIPEncoderLayer& layer : List<CLIPEncoderLayer>(place / "layers", c.num_hidden_layers, c))
    y = layer(y, mask);
  return y;
}

Tensor text_embeddings(const Scope& tower, const TextInputOptions& text, int64_t hidden_size,
                       const Tensor& ids) {
  const Scope embeddings = tower / "embeddings";
  const Embedding tokens(embeddings / "token_embedding", text.vocab_size, hidden_size);
  const Embedding positions(embeddings / "position_embedding", text.max_length, hidden_size);
  return tokens(ids) + positions.first_rows(op::shape_of(ids, 1, 2));
}

namespace {

Tensor unit_length(const Tensor& x) {
  return x / op::reduce("ReduceL2", x, {-1}, true);
}

}  // namespace

Outputs similarities(const Scope& root, const Tensor& text, const Tensor& image, const Dims& scalar) {
  const Tensor text_embeds = unit_length(text), image_embeds = unit_length(image);
  const float scale = std::exp(root.weight("logit_scale", scalar).as_f32().at(0));
  Tensor per_text = op::matmul(text_embeds, op::transpose(image_embeds, {1, 0})) * scale;  // [T, B]
  if (root.has("logit_bias")) per_text = per_text + root.parameter("logit_bias", scalar);
  return {{"logits_per_image", op::transpose(per_text, {1, 0})},
          {"logits_per_text", per_text},
          {"text_embeds", text_embeds},
          {"image_embeds", image_embeds}};
}

std::vector<InputSpec> dual_inputs(const TextInputOptions& text, const ImageInputOptions& image, bool mask) {
  std::vector<InputSpec> texts = text_inputs(text);
  for (InputSpec& input : texts) input.axes[0] = "text_batch_size";
  std::vector<InputSpec> out = {texts[0], image_input(image)};
  if (mask) out.push_back(texts[1]);
  return out;
}

OutputAxes dual_output_axes() {
  return {{"logits_per_image", {{0, "image_batch_size"}, {1, "text_batch_size"}}},
          {"logits_per_text", {{0, "text_batch_size"}, {1, "image_batch_size"}}},
          {"text_embeds", {{0, "text_batch_size"}}},
          {"image_embeds", {{0, "image_batch_size"}}}};
}

namespace {

struct CLIPTextConfig : ClipEncoderConfig {
  CLIPTextConfig() {
    hidden_size = 512;
    intermediate_size = 2048;
    num_attention_heads = 8;
  }
  explicit CLIPTextConfig(ConfigReader& r) : CLIPTextConfig() {
    read(r);
    r.read("vocab_size", vocab_size);
    r.read("max_position_embeddings", max_position_embeddings);
    r.read("eos_token_id", eos_token_id, 0);
    r.ignore("projection_dim");
  }
  int64_t vocab_size = 49408;
  int64_t max_position_embeddings = 77;
  int64_t eos_token_id = 49407;

  [[nodiscard]] TextInputOptions text_inputs() const {
    return {vocab_size, std::nullopt, max_position_embeddings};
  }
};

struct CLIPVisionConfig : ClipEncoderConfig {
  CLIPVisionConfig() = default;
  explicit CLIPVisionConfig(ConfigReader& r) {
    read(r);
    r.read("num_channels", num_channels);
    r.read("image_size", image_size, 1, 4096);
    r.read("patch_size", patch_size, 1, image_size);
    if (num_patches() > kMostPatches) r.fail("image_size", "at most 8192 patches");
    r.ignore("projection_dim");
  }
  int64_t num_channels = 3;
  int64_t image_size = 224;
  int64_t patch_size = 32;

  [[nodiscard]] int64_t num_patches() const { return (image_size / patch_size) * (image_size / patch_size); }
  [[nodiscard]] ImageInputOptions image_input() const {
    return {.num_channels = num_channels, .size = Size{image_size, image_size}, .any_size = false};
  }
};

struct CLIPConfig {
  explicit CLIPConfig(ConfigReader& r)
      : text(tower<CLIPTextConfig>(r, "text_config")), vision(tower<CLIPVisionConfig>(r, "vision_config")) {
    r.read("projection_dim", projection_dim);
    r.ignore("logit_scale_init_value");
    num_labels = labels_or_none(r);
  }
  CLIPTextConfig text;
  CLIPVisionConfig vision;
  int64_t projection_dim = 512;
  int64_t num_labels = 2;
};

struct CLIPTextTransformer : Module<CLIPTextConfig> {
  using Module::Module;
  LayerNorm final_layer_norm{at("final_layer_norm"), c.hidden_size, c.layer_norm_eps};

  // Before the last norm: ids i64[T, S] -> [T, S, H]
  Tensor operator()(const Tensor& ids, const ClipMask& mask) const {
    const Tensor x = text_embeddings(scope, c.text_inputs(), c.hidden_size, ids);
    return encode(at("encoder"), c, x, mask);
  }
  // At the first token that ends the text, [T, S, H] -> [T, H]. Old configurations name another token than
  // the tokenizer's; there it is the one with the highest id.
  [[nodiscard]] Tensor pooled(const Tensor& hidden, const Tensor& ids) const {
    const auto named = scope.named();
    Tensor marks = ids;
    if (c.eos_token_id != 2) marks = op::emit("Equal", {ids, op::scalar(ids.graph(), c.eos_token_id)});
    const Tensor at = op::emit("ArgMax", {op::cast(marks, DType::i32)}, {{"axis", int64_t{1}}});  // [T, 1]
    return op::emit("GatherND", {hidden, at}, {{"batch_dims", int64_t{1}}});
  }
};

struct CLIPVisionTransformer : Module<CLIPVisionConfig> {
  using Module::Module;

  Tensor operator()(const Tensor& pixel_values) const {  // [B, C, H, W] -> [B, 1 + patches, H]
    const Scope embeddings = at("embeddings");
    const std::vector<int64_t> patch = {c.patch_size, c.patch_size};
    const Conv patch_embedding(embeddings / "patch_embedding", c.num_channels, c.hidden_size,
                               {.kernel = patch, .stride = patch, .bias = false});
    const TokensAndPositions tokens{
        embeddings.weight("position_embedding.weight", {1 + c.num_patches(), c.hidden_size}),
        embeddings.weight("class_embedding", {c.hidden_size})};
    const Tensor x = tokens.add_to(embeddings, image_to_tokens(patch_embedding(pixel_values)));
    return encode(at("encoder"), c, LayerNorm(at("pre_layrnorm"), c.hidden_size, c.layer_norm_eps)(x));
  }
  [[nodiscard]] Tensor pooled(const Tensor& hidden) const {  // -> [B, H]
    return LayerNorm(at("post_layernorm"), c.hidden_size, c.layer_norm_eps)(select(hidden, 1, 0));
  }
};

// Padding is hidden, and so is what comes after: -inf where it is both, as transformers adds its two masks.
Tensor text_mask(const Tensor& attention_mask, DType dtype) {
  const Tensor positions =
      op::range(op::scalar(attention_mask.graph(), int64_t{0}), op::size_of(attention_mask, 1));
  const Tensor before =
      op::emit("LessOrEqual", {op::unsqueeze(positions, {0}), op::unsqueeze(positions, {1})});  // [S, S]
  const Tensor zero = op::scalar(attention_mask.graph(), 0.0f, dtype);
  return additive_mask(attention_mask, dtype) + op::where(before, zero, op::scalar_like(zero, lowest(dtype)));
}

struct CLIPModel : Module<CLIPConfig> {
  using Module::Module;
  CLIPTextTransformer text_model{at("text_model"), c.text};
  CLIPVisionTransformer vision_model{at("vision_model"), c.vision};
  Linear visual_projection{at("visual_projection"), c.vision.hidden_size, c.projection_dim, false};
  Linear text_projection{at("text_projection"), c.text.hidden_size, c.projection_dim, false};

  Outputs operator()(const Inputs& in) const {
    const Tensor image = vision_model.pooled(vision_model(in["pixel_values"]));
    const Tensor ids = in["input_ids"];
    const Tensor hidden = text_model(ids, {.additive = text_mask(in["attention_mask"], image.dtype())});
    const Tensor text = text_model.final_layer_norm(text_model.pooled(hidden, ids));
    return similarities(scope, text_projection(text), visual_projection(image), {});
  }
};

struct CLIPForImageClassification : Module<CLIPConfig> {
  using Module::Module;
  CLIPVisionTransformer vision_model{at("vision_model"), c.vision};

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    const Tensor patches = op::slice(vision_model(in["pixel_values"]), 1, 1, 1 + c.vision.num_patches());
    const Tensor mean = op::reduce("ReduceMean", patches, {1}, false);
    return {{"logits", classifier(at("classifier"), c.vision.hidden_size, c.num_labels, mean)}};
  }
};

struct CLIPVisionModel : Module<CLIPVisionConfig> {
  using Module::Module;
  CLIPVisionTransformer vision_model{at("vision_model"), c};

  Outputs operator()(const Inputs& in) const {
    const Tensor hidden = vision_model(in["pixel_values"]);
    return {{"last_hidden_state", hidden}, {"pooler_output", vision_model.pooled(hidden)}};
  }
};

struct CLIPTextModel : Module<CLIPTextConfig> {
  using Module::Module;
  CLIPTextTransformer text_model{at("text_model"), c};

  Outputs operator()(const Inputs& in) const {
    const Tensor ids = in["input_ids"];
    const Tensor hidden = text_model.final_layer_norm(text_model(ids, {.causal = true}));
    return {{"last_hidden_state", hidden}, {"pooler_output", text_model.pooled(hidden, ids)}};
  }
};

}  // namespace

Architecture arch() {
  return ArchBuilder<CLIPConfig>("clip")
      .may_be_unused({"text_model", "vision_model.post_layernorm", "visual_projection", "text_projection",
                      "logit_scale", "classifier", "*.position_ids"})
      .inputs(
          [](const CLIPConfig& c) { return dual_inputs(c.text.text_inputs(), c.vision.image_input(), true); })
      .output_axes(dual_output_axes())
      .task<CLIPModel>("feature-extraction", "CLIPModel")
      .task<CLIPModel>("zero-shot-image-classification", "CLIPModel")
      .inputs([](const CLIPConfig& c) { return std::vector{image_input(c.vision.image_input())}; })
      .task<CLIPForImageClassification>("image-classification", "CLIPForImageClassification");
}

Architecture vision_arch() {
  return ArchBuilder<CLIPVisionConfig>("clip_vision_model")
      .may_be_unused({"visual_projection", "*.position_ids"})
      .inputs([](const CLIPVisionConfig& c) { return std::vector{image_input(c.image_input())}; })
      .task<CLIPVisionModel>("feature-extraction", "CLIPVisionModel");
}

Architecture text_arch() {
  return ArchBuilder<CLIPTextConfig>("clip_text_model")
      .may_be_unused({"text_projection", "*.position_ids"})
      .inputs([](const CLIPTextConfig& c) { return std::vector{text_inputs(c.text_inputs())[0]}; })
      .task<CLIPTextModel>("feature-extraction", "CLIPTextModel");
}

}  // namespace ferry::models::clip
