// ResNet: basic and bottleneck layers.
// Source: transformers 4.57.6, models/resnet/modeling_resnet.py. Axes: B batch, C channels.
#include "models/resnet.h"

#include "models/image_encoders.h"
#include "nn/encoder.h"

namespace ferry::models::resnet {
using namespace nn;
namespace op = ir::op;

void ResNetConfig::read(ConfigReader& r) {
  r.read("num_channels", num_channels);
  r.read("embedding_size", embedding_size);
  read_sizes(r, "hidden_sizes", hidden_sizes);
  read_sizes(r, "depths", depths, hidden_sizes.size());
  r.read_choice("layer_type", layer_type, {"basic", "bottleneck"});
  r.read_choice("hidden_act", hidden_act, activation_names());
  r.read("downsample_in_first_stage", downsample_in_first_stage);
  r.read("downsample_in_bottleneck", downsample_in_bottleneck);
  for (const char* key : {"out_features", "out_indices", "stage_names"}) r.ignore(key);
  for (const int64_t depth : depths) {
    if (depth > 1000) r.fail("depths", "at most 1000 layers a stage");
  }
  num_labels = labels_or_none(r);
}

namespace {

// ResNetConvLayer and ResNetShortCut, which has no function.
Tensor conv_norm(const Scope& place, int64_t out, int64_t kernel, int64_t stride, const Tensor& x) {
  const Conv convolution(place / "convolution", *x.dim(1).constant(), out, kernel, stride, false);
  return BatchNorm(place / "normalization", out)(convolution(x));
}

struct ResNetLayer : Module<ResNetConfig> {
  using Module::Module;

  Tensor operator()(const Tensor& x, int64_t out, int64_t stride) const {  // -> [B, out, ...]
    const auto named = scope.named();
    const bool projects = x.dim(1) != Dim(out) || stride != 1;
    const Tensor residual = projects ? conv_norm(at("shortcut"), out, 1, stride, x) : x;
    const Tensor y = c.layer_type == "basic" ? basic(x, out, stride) : bottleneck(x, out, stride);
    return activation(c.hidden_act, y + residual);
  }

 private:
  using Dim = ir::Dim;
  // Within a layer the function is always this one.
  [[nodiscard]] static Tensor relu(const Tensor& x) { return op::unary("Relu", x); }
  [[nodiscard]] Tensor basic(const Tensor& x, int64_t out, int64_t stride) const {
    const Tensor y = relu(conv_norm(at("layer.0"), out, 3, stride, x));
    return conv_norm(at("layer.1"), out, 3, 1, y);
  }
  [[nodiscard]] Tensor bottleneck(const Tensor& x, int64_t out, int64_t stride) const {
    const int64_t narrow = out / 4, first = c.downsample_in_bottleneck ? stride : 1;
    Tensor y = relu(conv_norm(at("layer.0"), narrow, 1, first, x));
    y = relu(conv_norm(at("layer.1"), narrow, 3, stride / first, y));
    return conv_norm(at("layer.2"), out, 1, 1, y);
  }
};

}  // namespace

std::vector<Tensor> feature_maps(const Scope& body, const ResNetConfig& c, const Tensor& pixel_values) {
  const Tensor stem =
      activation(c.hidden_act, conv_norm(body / "embedder.embedder", c.embedding_size, 7, 2, pixel_values));
  std::vector<Tensor> out = {max_pool(stem, 3, 2, 1)};
  for (size_t stage = 0; stage < c.depths.size(); ++stage) {
    const Scope layers = body / "encoder.stages" / static_cast<int64_t>(stage) / "layers";
    Tensor x = out.back();
    for (int64_t i = 0; i < c.depths[stage]; ++i) {
      const bool halves = i == 0 && (stage > 0 || c.downsample_in_first_stage);
      x = ResNetLayer(layers / i, c)(x, c.hidden_sizes[stage], halves ? 2 : 1);
    }
    out.push_back(x);
  }
  return out;
}

namespace {

struct ResNetModel : Module<ResNetConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "resnet";

  Tensor hidden(const Inputs& in) const { return feature_maps(scope, c, in["pixel_values"]).back(); }
  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

struct ResNetForImageClassification : OverBody<ResNetModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    return {{"logits", classifier(at("classifier.1"), c.hidden_sizes.back(), c.num_labels,
                                  mean_of_image(body.hidden(in)))}};
  }
};

}  // namespace

Architecture arch() {
  return ArchBuilder<ResNetConfig>("resnet")
      .prefix(ResNetModel::base_model_prefix)
      .may_be_unused({"classifier"})
      .inputs(
          [](const ResNetConfig& c) { return std::vector{image_input({.num_channels = c.num_channels})}; })
      .body<ResNetModel>("feature-extraction", "ResNetModel")
      .task<ResNetForImageClassification>("image-classification", "ResNetForImageClassification");
}

}  // namespace ferry::models::resnet
