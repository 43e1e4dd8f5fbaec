// SegFormer: a pyramid of transformers whose keys are of a smaller image, and a decoder of all its levels.
// Source: transformers 4.57.6, models/segformer/modeling_segformer.py. Axes: B batch, N = H W tokens, C
// channels.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/image_encoders.h"
#include "nn/encoder.h"
#include "nn/image.h"

namespace ferry::models::segformer {
using namespace nn;
namespace op = ir::op;

namespace {

constexpr float kEpsilon = 1e-5f;  // The configuration's is used nowhere.

struct SegformerConfig {
  explicit SegformerConfig(ConfigReader& r) {
    r.read("num_channels", num_channels);
    r.read("num_encoder_blocks", num_encoder_blocks, 1, 100);
    const auto blocks = static_cast<size_t>(num_encoder_blocks);
    for (const auto& [key, sizes] : {std::pair{"depths", &depths},
                                     {"sr_ratios", &sr_ratios},
                                     {"hidden_sizes", &hidden_sizes},
                                     {"patch_sizes", &patch_sizes},
                                     {"strides", &strides},
                                     {"num_attention_heads", &num_attention_heads}}) {
      read_sizes(r, key, *sizes, blocks);
    }
    std::vector<float> ratios = {4, 4, 4, 4};
    const char* key = "mlp_ratios";
    r.read(key, ratios);
    if (ratios.size() != blocks) r.fail(key, "a number for each block");
    for (size_t i = 0; i < blocks; ++i) {
      if (hidden_sizes[i] % num_attention_heads[i] != 0)
        r.fail("hidden_sizes", "multiples of num_attention_heads");
      if (depths[i] > 1000) r.fail("depths", "at most 1000 layers a block");
      if (!(ratios[i] > 0 && ratios[i] < 1024)) r.fail(key, "numbers from 0 to 1024");
      const double ratio = r.has(key) ? r.json().at(key).at(i).get<double>() : 4;
      inner_sizes.push_back(static_cast<int64_t>(static_cast<double>(hidden_sizes[i]) * ratio));
    }
    r.read_choice("hidden_act", hidden_act, activation_names());
    r.read("decoder_hidden_size", decoder_hidden_size);
    r.read("reshape_last_stage", reshape_last_stage);
    for (const char* unused : {"layer_norm_eps", "drop_path_rate", "semantic_loss_ignore_index", "image_size",
                               "downsampling_rates"})
      r.ignore(unused);
    num_labels = r.num_labels();
    if (most_scores(std::max<int64_t>(64, least_image())) > 1 << 27)
      r.fail("strides", "larger ones: the smallest image it is tried on has too many tokens");
  }
  int64_t num_channels = 3;
  int64_t num_encoder_blocks = 4;
  std::vector<int64_t> depths = {2, 2, 2, 2};
  std::vector<int64_t> sr_ratios = {8, 4, 2, 1};
  std::vector<int64_t> hidden_sizes = {32, 64, 160, 256};
  std::vector<int64_t> patch_sizes = {7, 3, 3, 3};
  std::vector<int64_t> strides = {4, 2, 2, 2};
  std::vector<int64_t> num_attention_heads = {1, 2, 5, 8};
  std::vector<int64_t> inner_sizes;  // hidden_sizes times mlp_ratios.
  std::string hidden_act = "gelu";
  int64_t decoder_hidden_size = 256;
  bool reshape_last_stage = true;
  int64_t num_labels = 2;

  /// So that every level still has a pixel where its keys are reduced.
  [[nodiscard]] int64_t least_image() const {
    int64_t least = 1, stride = 1;
    for (size_t i = 0; i < strides.size(); ++i) {
      stride = std::min<int64_t>(stride * strides[i], 1 << 20);
      least = std::max(least, std::min<int64_t>(stride * sr_ratios[i], 1 << 20));
    }
    return least;
  }
  /// The most scores that a level's attention has over an image of `side` pixels.
  [[nodiscard]] double most_scores(int64_t side) const {
    double most = 0, length = static_cast<double>(side);
    for (size_t i = 0; i < strides.size(); ++i) {
      length /= static_cast<double>(strides[i]);
      const double reduced = length / static_cast<double>(sr_ratios[i]);
      most =
          std::max(most, length * length * reduced * reduced * static_cast<double>(num_attention_heads[i]));
    }
    return most;
  }
};

// Tokens and the image that they are of.
struct Grid {
  Tensor tokens;  // [B, N, C]
  Tensor like;    // An image [B, ?, H, W] of as many pixels as there are tokens.

  [[nodiscard]] Grid with(const Tensor& x) const { return {x, like}; }
  [[nodiscard]] Tensor image() const {  // [B, C, H, W]
    return tokens_to_image(tokens, op::shape_of(like, 2, 3), op::shape_of(like, 3, 4));
  }
};

struct SegformerLayer : Module<SegformerConfig> {
  SegformerLayer(Scope place, const SegformerConfig& config, size_t block)
      : Module(std::move(place), config), i(block) {}
  size_t i;
  int64_t width = c.hidden_sizes[i];
  int64_t inner = c.inner_sizes[i];
  LayerNorm layer_norm_1{at("layer_norm_1"), width, kEpsilon};
  Linear query{at("attention.self.query"), width, width};
  Linear key{at("attention.self.key"), width, width};
  Linear value{at("attention.self.value"), width, width};
  Linear attention_output{at("attention.output.dense"), width, width};
  LayerNorm layer_norm_2{at("layer_norm_2"), width, kEpsilon};
  Linear dense1{at("mlp.dense1"), width, inner};
  Conv dwconv{at("mlp.dwconv.dwconv"), inner, inner, {.kernel = {3, 3}, .padding = {1, 1}, .groups = inner}};
  Linear dense2{at("mlp.dense2"), inner, width};

  Grid operator()(const Grid& x) const {
    const auto named = scope.named();
    const Scope function = at("mlp.intermediate_act_fn");
    const Grid y = x.with(x.tokens + attention(x.with(layer_norm_1(x.tokens))));
    const Tensor mixed = image_to_tokens(dwconv(y.with(dense1(layer_norm_2(y.tokens))).image()));
    return y.with(y.tokens + dense2(activation(c.hidden_act, mixed, &function)));
  }

 private:
  [[nodiscard]] Tensor attention(const Grid& x) const {
    const Tensor keys = c.sr_ratios[i] == 1 ? x.tokens : reduced(x);
    return attention_output(
        op::attention(query(x.tokens), key(keys), value(keys), {.heads = c.num_attention_heads[i]}));
  }
  [[nodiscard]] Tensor reduced(const Grid& x) const {
    const Scope self = at("attention.self");
    const std::vector<int64_t> window = {c.sr_ratios[i], c.sr_ratios[i]};
    const Conv sr(self / "sr", width, width, {.kernel = window, .stride = window});
    return LayerNorm(self / "layer_norm", width, kEpsilon)(image_to_tokens(sr(x.image())));
  }
};

struct SegformerModel : Module<SegformerConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "segformer";

  std::vector<Grid> levels(const Inputs& in) const {
    const Scope encoder = at("encoder");
    std::vector<Grid> out;
    Tensor image = in["pixel_values"];
    for (size_t i = 0; i < c.depths.size(); ++i) {
      if (i > 0) image = out.back().image();
      out.push_back(block(encoder, i, i == 0 ? c.num_channels : c.hidden_sizes[i - 1], image));
    }
    return out;
  }
  Outputs operator()(const Inputs& in) const {
    const Grid last = levels(in).back();
    return {{"last_hidden_state", c.reshape_last_stage ? last.image() : last.tokens}};
  }

 private:
  [[nodiscard]] Grid block(const Scope& encoder, size_t i, int64_t channels, const Tensor& image) const {
    const auto index = static_cast<int64_t>(i);
    const Scope place = encoder / "patch_embeddings" / index;
    const int64_t kernel = c.patch_sizes[i], stride = c.strides[i], width = c.hidden_sizes[i];
    const Tensor patches = Conv(
        place / "proj", channels, width,
        {.kernel = {kernel, kernel}, .stride = {stride, stride}, .padding = {kernel / 2, kernel / 2}})(image);
    Grid x{LayerNorm(place / "layer_norm", width, kEpsilon)(image_to_tokens(patches)), patches};
    for (const SegformerLayer& layer : List<SegformerLayer>(encoder / "block" / index, c.depths[i], c, i))
      x = layer(x);
    return x.with(LayerNorm(encoder / "layer_norm" / index, width, kEpsilon)(x.tokens));
  }
};

struct SegformerForImageClassification : OverBody<SegformerModel> {
  using OverBody::OverBody;
  Linear classifier{at("classifier"), c.hidden_sizes.back(), c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    return {{"logits", classifier(op::reduce("ReduceMean", body.levels(in).back().tokens, {1}, false))}};
  }
};

struct SegformerForSemanticSegmentation : OverBody<SegformerModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, labels, H / 4, W / 4]
    const Scope head = at("decode_head");
    const auto levels = body.levels(in);
    const int64_t width = c.decoder_hidden_size, blocks = c.num_encoder_blocks;
    std::vector<Tensor> all;
    for (size_t i = levels.size(); i-- > 0;) {
      const Linear proj(head / "linear_c" / static_cast<int64_t>(i) / "proj", c.hidden_sizes[i], width);
      const Tensor image = levels[i].with(proj(levels[i].tokens)).image();
      all.push_back(i == 0 ? image : resize_to(image, levels[0].like, "bilinear"));
    }
    const Conv linear_fuse(head / "linear_fuse", width * blocks, width, 1, 1, false);
    const Tensor fused = BatchNorm(head / "batch_norm", width)(linear_fuse(op::concat(all, 1)));
    return {{"logits", Conv(head / "classifier", width, c.num_labels, 1)(op::unary("Relu", fused))}};
  }
};

}  // namespace

Architecture arch() {
  return ArchBuilder<SegformerConfig>("segformer")
      .prefix(SegformerModel::base_model_prefix)
      .may_be_unused({"classifier", "decode_head"})
      .inputs([](const SegformerConfig& c) {
        return std::vector{image_input({.num_channels = c.num_channels, .least = c.least_image()})};
      })
      .body<SegformerModel>("feature-extraction", "SegformerModel")
      .task<SegformerForImageClassification>("image-classification", "SegformerForImageClassification")
      .task<SegformerForSemanticSegmentation>("image-segmentation", "SegformerForSemanticSegmentation")
      .output_axes({{"logits", {{1, "num_labels"}, {2, "height"}, {3, "width"}}}})
      .task<SegformerForSemanticSegmentation>("semantic-segmentation", "SegformerForSemanticSegmentation");
}

}  // namespace ferry::models::segformer
