// timm's own checkpoints of ResNets, ViTs and DeiTs, by timm's names of models and weights. Source: timm 1.0,
// timm/models/resnet.py, timm/models/vision_transformer.py. Axes: B batch, S tokens, H hidden size.
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "models/image_encoders.h"
#include "models/resnet.h"
#include "models/vit.h"

namespace ferry::models::timm {
using namespace nn;
namespace op = ir::op;

namespace {

struct TimmSize {
  std::string_view name;
  int64_t hidden_size, num_hidden_layers, num_attention_heads;
};
constexpr TimmSize kSizes[] = {
    {"tiny", 192, 12, 3}, {"small", 384, 12, 6}, {"base", 768, 12, 12}, {"large", 1024, 24, 16}};

// The number that `text` is, 0 if it is none.
int64_t number_of(std::string_view text) {
  int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() ? out : 0;
}

// "vit_base_patch16_224", "deit_tiny_patch16_224": false for any other.
bool read_timm_vit(const std::string& name, vit::ViTConfig& c) {
  const auto parts = split(name, '_');
  if (parts.size() != 4 || (parts[0] != "vit" && parts[0] != "deit") || !starts_with(parts[2], "patch"))
    return false;
  const auto* const size = std::find_if(std::begin(kSizes), std::end(kSizes),
                                        [&](const TimmSize& known) { return known.name == parts[1]; });
  const int64_t patch = number_of(std::string_view(parts[2]).substr(5)), image = number_of(parts[3]);
  if (size == std::end(kSizes) || patch == 0 || image < patch || image > 1024) return false;
  c.hidden_size = size->hidden_size;
  c.num_hidden_layers = size->num_hidden_layers;
  c.num_attention_heads = size->num_attention_heads;
  c.patch_size = {patch, patch};
  c.image_size = {image, image};
  c.layer_norm_eps = 1e-6f;
  return true;
}

struct TimmConfig {
  explicit TimmConfig(ConfigReader& r) {
    r.read("architecture", architecture);
    architecture = architecture.substr(0, architecture.find('.'));
    if (auto cfg = r.object("pretrained_cfg")) read_pretrained(*cfg);
    r.read("num_classes", num_classes, 0, 1 << 24);
    auto arguments = r.object("model_args");
    resnet.output_stride = 32;
    is_vit = read_timm_vit(architecture, vit);
    if (is_vit) {
      read_vit_arguments(arguments ? &*arguments : nullptr);
    } else if (!resnet::read_timm_resnet(architecture, arguments ? &*arguments : nullptr, resnet)) {
      throw Error(ErrorCode::unsupported, r.origin() + ": timm's architecture \"" +
                                              printable(architecture, 80) + "\" is not supported")
          .with_hint("supported: " + join(resnet::timm_resnet_names()) +
                     ", vit_ and deit_ {tiny, small, base, large} as in vit_base_patch16_224");
    }
    if (arguments && !arguments->unknown_keys().empty())
      arguments->fail(arguments->unknown_keys()[0], "no such argument: it is not implemented");
    if (is_vit && (vit.num_patches() == 0 || vit.num_patches() > kMostPatches))
      r.fail("model_args", "1 to 8192 patches of an image");
    std::string pool = is_vit ? "token" : "avg";
    r.read_choice("global_pool", pool, {pool});
    r.ignore("num_features");
    r.ignore("label_names");
    r.ignore("label_descriptions");
  }
  std::string architecture;
  bool is_vit = false;
  vit::ViTConfig vit;
  resnet::ResNetConfig resnet;
  int64_t num_classes = 1000;
  Size usual{224, 224};

 private:
  void read_pretrained(ConfigReader& cfg) {
    cfg.read("num_classes", num_classes, 0, 1 << 24);
    std::vector<int64_t> input = {3, usual.height, usual.width};
    read_sizes(cfg, "input_size", input, 3);
    usual = {input[1], input[2]};
    if (std::max(usual.height, usual.width) > 4096) cfg.fail("input_size", "at most 4096 pixels a side");
  }
  void read_vit_arguments(ConfigReader* r) {
    double mlp_ratio = 4;
    if (r != nullptr) {
      read_size(*r, "img_size", vit.image_size);
      read_size(*r, "patch_size", vit.patch_size);
      r->read("in_chans", vit.num_channels);
      r->read("embed_dim", vit.hidden_size);
      r->read("depth", vit.num_hidden_layers);
      r->read("num_heads", vit.num_attention_heads);
      r->read("mlp_ratio", mlp_ratio);
      r->read("qkv_bias", vit.qkv_bias);
      if (vit.hidden_size % vit.num_attention_heads != 0) r->fail("embed_dim", "a multiple of num_heads");
      if (!(mlp_ratio > 0 && mlp_ratio < 1024)) r->fail("mlp_ratio", "a number from 0 to 1024");
    }
    vit.intermediate_size = static_cast<int64_t>(static_cast<double>(vit.hidden_size) * mlp_ratio);
  }
};

struct VisionTransformerBlock : Module<vit::ViTConfig> {
  using Module::Module;
  int64_t H = c.hidden_size;
  LayerNorm norm1{at("norm1"), H, c.layer_norm_eps}, norm2{at("norm2"), H, c.layer_norm_eps};
  Linear qkv{at("attn.qkv"), H, 3 * H, c.qkv_bias}, proj{at("attn.proj"), H, H};
  Linear fc1{at("mlp.fc1"), H, c.intermediate_size}, fc2{at("mlp.fc2"), c.intermediate_size, H};

  Tensor operator()(const Tensor& x) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const auto parts = op::split(qkv(norm1(x)), -1, {H, H, H});
    const Tensor y = x + proj(op::attention(parts[0], parts[1], parts[2], {.heads = c.num_attention_heads}));
    return y + fc2(activation("gelu", fc1(norm2(y))));
  }
};

Tensor vision_transformer(const Scope& place, const vit::ViTConfig& c, const Tensor& pixel_values) {
  const std::vector<int64_t> patch = {c.patch_size.height, c.patch_size.width};
  const Conv projection(place / "patch_embed.proj", c.num_channels, c.hidden_size,
                        {.kernel = patch, .stride = patch});
  const TokensAndPositions tokens{place.weight("pos_embed", {1, 1 + c.num_patches(), c.hidden_size}),
                                  place.weight("cls_token", {1, 1, c.hidden_size})};
  Tensor x = tokens.add_to(place, image_to_tokens(projection(pixel_values)));
  for (const auto& block : List<VisionTransformerBlock>(place / "blocks", c.num_hidden_layers, c))
    x = block(x);
  return select(LayerNorm(place / "norm", c.hidden_size, c.layer_norm_eps)(x), 1, 0);  // -> [B, H]
}

struct TimmForImageClassification : Module<TimmConfig> {
  using Module::Module;

  Outputs operator()(const Inputs& in) const {  // -> [B, classes]
    const Tensor& image = in["pixel_values"];
    const Tensor pooled = c.is_vit ? vision_transformer(scope, c.vit, image)
                                   : mean_of_image(resnet::feature_maps(scope, c.resnet, image).back());
    return {{"logits",
             classifier(at(c.is_vit ? "head" : "fc"), *pooled.dim(-1).constant(), c.num_classes, pooled)}};
  }
};

}  // namespace

Architecture arch() {
  return ArchBuilder<TimmConfig>("default-timm-config")
      .inputs([](const TimmConfig& c) {
        if (c.is_vit) return c.vit.image_inputs();
        return std::vector{image_input({.num_channels = c.resnet.num_channels, .size = c.usual})};
      })
      .task<TimmForImageClassification>("image-classification", "timm.create_model");
}

}  // namespace ferry::models::timm
