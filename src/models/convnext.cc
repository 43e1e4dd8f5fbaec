// ConvNeXT.
// Source: transformers 4.57.6, models/convnext/modeling_convnext.py. Axes: B batch, C channels.
#include "models/image_encoders.h"
#include "nn/encoder.h"
#include "nn/image.h"

namespace ferry::models::convnext {
using namespace nn;
namespace op = ir::op;

namespace {

constexpr float kEpsilon = 1e-6f;  // Of all norms but the last.

struct ConvNextConfig {
  explicit ConvNextConfig(ConfigReader& r) {
    r.read("num_channels", num_channels);
    r.read("patch_size", patch_size, 1, 1024);
    r.read("num_stages", num_stages, 1, 100);
    read_sizes(r, "hidden_sizes", hidden_sizes, static_cast<size_t>(num_stages));
    read_sizes(r, "depths", depths, static_cast<size_t>(num_stages));
    r.read_choice("hidden_act", hidden_act, activation_names());
    r.read("layer_norm_eps", layer_norm_eps);
    r.read("layer_scale_init_value", layer_scale_init_value);
    read_size(r, "image_size", image_size);
    for (const char* key : {"drop_path_rate", "out_features", "out_indices", "stage_names"}) r.ignore(key);
    for (const int64_t depth : depths) {
      if (depth > 1000) r.fail("depths", "at most 1000 layers a stage");
    }
    num_labels = labels_or_none(r);
  }
  int64_t num_channels = 3;
  int64_t patch_size = 4;
  int64_t num_stages = 4;
  std::vector<int64_t> hidden_sizes = {96, 192, 384, 768};
  std::vector<int64_t> depths = {3, 3, 9, 3};
  std::string hidden_act = "gelu";
  float layer_norm_eps = 1e-12f;
  float layer_scale_init_value = 1e-6f;  // Above 0: layers have a scale.
  Size image_size{224, 224};
  int64_t num_labels = 2;
};

struct ConvNextLayer : Module<ConvNextConfig> {
  ConvNextLayer(Scope place, const ConvNextConfig& config, int64_t width)
      : Module(std::move(place), config), dim(width) {}
  int64_t dim;
  Conv dwconv{at("dwconv"), dim, dim, {.kernel = {7, 7}, .padding = {3, 3}, .groups = dim}};
  LayerNorm layernorm{at("layernorm"), dim, kEpsilon};
  Linear pwconv1{at("pwconv1"), dim, 4 * dim};
  Linear pwconv2{at("pwconv2"), 4 * dim, dim};

  Tensor operator()(const Tensor& x) const {  // [B, C, H, W] -> [B, C, H, W]
    const auto named = scope.named();
    const Scope function = at("act");
    const Tensor y = layernorm(op::transpose(dwconv(x), {0, 2, 3, 1}));
    Tensor z = pwconv2(activation(c.hidden_act, pwconv1(y), &function));
    if (c.layer_scale_init_value > 0) z = z * scope.parameter("layer_scale_parameter", {dim});
    return x + op::transpose(z, {0, 3, 1, 2});
  }
};

struct ConvNextModel : Module<ConvNextConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "convnext";

  Tensor hidden(const Inputs& in) const {  // -> [B, C, H', W']
    const Scope embeddings = at("embeddings");
    const std::vector<int64_t> patch = {c.patch_size, c.patch_size};
    const Conv patch_embeddings(embeddings / "patch_embeddings", c.num_channels, c.hidden_sizes[0],
                                {.kernel = patch, .stride = patch});
    const LayerNorm norm(embeddings / "layernorm", c.hidden_sizes[0], kEpsilon);
    Tensor x = over_channels(norm, patch_embeddings(in["pixel_values"]));
    for (int64_t i = 0; i < c.num_stages; ++i) x = stage(at("encoder.stages") / i, static_cast<size_t>(i), x);
    return x;
  }
  Tensor pooled(const Inputs& in) const {  // -> [B, C]
    const LayerNorm layernorm(at("layernorm"), c.hidden_sizes.back(), c.layer_norm_eps);
    return layernorm(mean_of_image(hidden(in)));
  }
  Outputs operator()(const Inputs& in) const {
    scope.ignore("layernorm");  // Of the pooled image, which is no result here.
    return {{"last_hidden_state", hidden(in)}};
  }

 private:
  [[nodiscard]] Tensor stage(const Scope& place, size_t i, const Tensor& input) const {
    const int64_t in = c.hidden_sizes[i == 0 ? 0 : i - 1], out = c.hidden_sizes[i];
    Tensor x = input;
    if (i > 0) {
      const Scope downsampling = place / "downsampling_layer";
      const LayerNorm norm(downsampling / "0", in, kEpsilon);
      x = Conv(downsampling / "1", in, out, {.kernel = {2, 2}, .stride = {2, 2}})(over_channels(norm, x));
    }
    for (const ConvNextLayer& layer : List<ConvNextLayer>(place / "layers", c.depths[i], c, out))
      x = layer(x);
    return x;
  }
};

struct ConvNextForImageClassification : OverBody<ConvNextModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    return {{"logits", classifier(at("classifier"), c.hidden_sizes.back(), c.num_labels, body.pooled(in))}};
  }
};

}  // namespace

Architecture arch() {
  return ArchBuilder<ConvNextConfig>("convnext")
      .prefix(ConvNextModel::base_model_prefix)
      .may_be_unused({"classifier"})
      .inputs([](const ConvNextConfig& c) {
        int64_t least = c.patch_size;
        for (int64_t i = 1; i < c.num_stages && least < 4096; ++i) least *= 2;
        return std::vector{
            image_input({.num_channels = c.num_channels, .size = c.image_size, .least = least})};
      })
      .body<ConvNextModel>("feature-extraction", "ConvNextModel")
      .task<ConvNextForImageClassification>("image-classification", "ConvNextForImageClassification");
}

}  // namespace ferry::models::convnext
