// ResNet: basic and bottleneck layers.
// Source: transformers 4.57.6, models/resnet/modeling_resnet.py. Axes: B batch, C channels.
#include "models/resnet.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
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

// ResNetConvLayer and ResNetShortCut without their function: a convolution and its norm, whose places are
// named in transformers' way or in timm's.
struct ConvNorm {
  Scope convolution, normalization;

  [[nodiscard]] Tensor operator()(int64_t out, int64_t kernel, int64_t stride, const Tensor& x,
                                  int64_t dilation = 1) const {
    const int64_t border = dilation * (kernel / 2);
    ConvOptions options{.kernel = {kernel, kernel}, .bias = false};
    if (stride != 1) options.stride = {stride, stride};
    if (border != 0) options.padding = {border, border};
    if (dilation != 1) options.dilation = {dilation, dilation};
    const Conv conv(convolution, *x.dim(1).constant(), out, std::move(options));
    return BatchNorm(normalization, out)(conv(x));
  }
};

Tensor relu(const Tensor& x) {
  return op::unary("Relu", x);
}

// What a layer does to the size of an image.
struct Steps {
  int64_t stride = 1;
  int64_t first_dilation = 1;
  int64_t dilation = 1;
};

struct ResNetLayer : Module<ResNetConfig> {
  using Module::Module;

  Tensor operator()(const Tensor& x, int64_t out, const Steps& steps) const {  // -> [B, out, ...]
    const auto named = scope.named();
    const bool projects = x.dim(1) != ir::Dim(out) || steps.stride != 1;
    const Tensor residual = projects ? shortcut()(out, 1, steps.stride, x) : x;
    const Tensor y = c.layer_type == "basic" ? basic(x, out, steps) : bottleneck(x, out, steps);
    return activation(c.hidden_act, y + residual);
  }

 private:
  [[nodiscard]] ConvNorm part(int64_t index) const {
    if (!c.timm_names) return {at("layer") / index / "convolution", at("layer") / index / "normalization"};
    const std::string number = std::to_string(index + 1);
    return {at("conv" + number), at("bn" + number)};
  }
  [[nodiscard]] ConvNorm shortcut() const {
    if (c.timm_names) return {at("downsample.0"), at("downsample.1")};
    return {at("shortcut.convolution"), at("shortcut.normalization")};
  }
  // Within a layer the function is always ReLU.
  [[nodiscard]] Tensor basic(const Tensor& x, int64_t out, const Steps& steps) const {
    const Tensor y = relu(part(0)(out, 3, steps.stride, x, steps.first_dilation));
    return part(1)(out, 3, 1, y, steps.dilation);
  }
  [[nodiscard]] Tensor bottleneck(const Tensor& x, int64_t out, const Steps& steps) const {
    const int64_t narrow = out / 4, first = c.downsample_in_bottleneck ? steps.stride : 1;
    Tensor y = relu(part(0)(narrow, 1, first, x));
    y = relu(part(1)(narrow, 3, steps.stride / first, y, steps.first_dilation));
    return part(2)(out, 1, 1, y);
  }
};

Tensor stem(const Scope& body, const ResNetConfig& c, const Tensor& pixel_values) {
  const Scope place = body / "embedder.embedder";
  const ConvNorm embedder = c.timm_names ? ConvNorm{body / "conv1", body / "bn1"}
                                         : ConvNorm{place / "convolution", place / "normalization"};
  const Tensor x = activation(c.hidden_act, embedder(c.embedding_size, 7, 2, pixel_values));
  return max_pool(x, 3, 2, 1);
}

}  // namespace

std::vector<Tensor> feature_maps(const Scope& body, const ResNetConfig& c, const Tensor& pixel_values) {
  std::vector<Tensor> out = {stem(body, c, pixel_values)};
  int64_t shrunk = 4, before = 1, dilation = 1;
  for (size_t stage = 0; stage < c.depths.size(); ++stage) {
    const auto index = static_cast<int64_t>(stage);
    const Scope layers = c.timm_names ? body / ("layer" + std::to_string(index + 1))
                                      : body / "encoder.stages" / index / "layers";
    const bool halves = stage > 0 || c.downsample_in_first_stage;
    const bool dilates = halves && c.output_stride > 0 && shrunk >= c.output_stride;
    if (dilates) dilation *= 2;
    if (halves && !dilates) shrunk *= 2;
    Tensor x = out.back();
    for (int64_t i = 0; i < c.depths[stage]; ++i) {
      const Steps steps{i == 0 && halves && !dilates ? 2 : 1, before, dilation};
      x = ResNetLayer(layers / i, c)(x, c.hidden_sizes[stage], steps);
      before = dilation;
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

namespace {

// "out_features" by name, else "out_indices", else the last stage.
std::vector<size_t> read_features(ConfigReader& r, size_t stages) {
  std::vector<std::string> names;
  std::vector<int64_t> indices;
  r.read("out_features", names);
  r.read("out_indices", indices);
  std::vector<size_t> out;
  for (const std::string& name : names) {
    size_t stage = 0;
    while (stage <= stages && name != (stage == 0 ? "stem" : fmt::format("stage{}", stage))) ++stage;
    if (stage > stages) r.fail("out_features", "names of stages: stem, stage1, ...");
    out.push_back(stage);
  }
  for (size_t i = 0; names.empty() && i < indices.size(); ++i) {
    const int64_t index = indices[i] < 0 ? indices[i] + static_cast<int64_t>(stages) + 1 : indices[i];
    if (index < 0 || index > static_cast<int64_t>(stages)) r.fail("out_indices", "indices of stages");
    out.push_back(static_cast<size_t>(index));
  }
  if (out.empty()) out.push_back(stages);
  return out;
}

struct TimmResNet {
  std::string_view name;
  bool bottleneck;
  std::vector<int64_t> depths;
};

const std::vector<TimmResNet>& timm_resnets() {
  static const std::vector<TimmResNet> table = {
      {"resnet18", false, {2, 2, 2, 2}},  {"resnet34", false, {3, 4, 6, 3}},
      {"resnet26", true, {2, 2, 2, 2}},   {"resnet50", true, {3, 4, 6, 3}},
      {"resnet101", true, {3, 4, 23, 3}}, {"resnet152", true, {3, 8, 36, 3}}};
  return table;
}

}  // namespace

bool read_timm_resnet(std::string_view name, ConfigReader* arguments, ResNetConfig& c) {
  const auto found = std::find_if(timm_resnets().begin(), timm_resnets().end(), [&](const TimmResNet& known) {
    return known.name == name.substr(0, name.find('.'));
  });
  if (found == timm_resnets().end()) return false;
  c.timm_names = true;
  c.layer_type = found->bottleneck ? "bottleneck" : "basic";
  c.depths = found->depths;
  std::vector<int64_t> channels = {64, 128, 256, 512};
  if (arguments != nullptr) {
    arguments->read("output_stride", c.output_stride);
    if (c.output_stride != 32 && c.output_stride != 16 && c.output_stride != 8)
      arguments->fail("output_stride", "8, 16 or 32");
    arguments->read("in_chans", c.num_channels);
    read_sizes(*arguments, "layers", c.depths, 4);
    read_sizes(*arguments, "channels", channels, 4);
  }
  c.hidden_sizes = channels;
  for (int64_t& width : c.hidden_sizes) width *= found->bottleneck ? 4 : 1;
  return true;
}

std::vector<std::string> timm_resnet_names() {
  std::vector<std::string> out;
  for (const TimmResNet& known : timm_resnets()) out.emplace_back(known.name);
  return out;
}

namespace {

Backbone timm_backbone(ConfigReader& r, const std::string& name, bool dilation, int64_t num_channels) {
  auto kwargs = r.object("backbone_kwargs");
  ResNetConfig c;
  c.num_channels = num_channels;
  c.output_stride = dilation ? 16 : 32;
  if (!read_timm_resnet(name, kwargs ? &*kwargs : nullptr, c))
    r.fail("backbone", "one of timm's " + join(timm_resnet_names()));
  std::vector<int64_t> indices = {1, 2, 3, 4};
  if (kwargs) {
    read_sizes(*kwargs, "out_indices", indices);
    if (const auto unknown = kwargs->unknown_keys(); !unknown.empty())
      kwargs->fail(unknown[0], "no such argument: it is not implemented");
  }
  Backbone out{c, {}};
  for (const int64_t index : indices) {
    if (index > 4) r.fail("backbone_kwargs", "out_indices from 1 to 4");
    out.features.push_back(static_cast<size_t>(index));
  }
  return out;
}

}  // namespace

Backbone read_backbone(ConfigReader& r) {
  bool timm = true, dilation = false;
  std::string name;
  int64_t num_channels = 3;
  r.read("use_timm_backbone", timm);
  r.read("backbone", name);
  r.read("dilation", dilation);
  r.read("num_channels", num_channels);
  r.ignore("use_pretrained_backbone");
  if (timm) return timm_backbone(r, name.empty() ? "resnet50" : name, dilation, num_channels);
  r.must_be_empty("backbone_kwargs");
  auto nested = r.object("backbone_config");
  if (!nested) {
    if (!name.empty() && name != "resnet50") r.fail("backbone_config", "the backbone's configuration");
    return {ResNetConfig(), {4}};
  }
  std::string type;
  nested->read("model_type", type);
  if (type != "resnet") {
    throw Error(ErrorCode::unsupported, fmt::format("{}: a backbone of type \"{}\" is not implemented",
                                                    nested->origin(), printable(type)))
        .with_hint("implemented: resnet");
  }
  Backbone out{ResNetConfig(*nested), {}};
  out.features = read_features(*nested, out.config.depths.size());
  read_nested_defaults(*nested);
  r.adopt_unknown("backbone_config", *nested);
  return out;
}

}  // namespace ferry::models::resnet
