// MobileNetV2: convolutions that widen, look around and narrow again.
// Source: transformers 4.57.6, models/mobilenet_v2/modeling_mobilenet_v2.py. Axes: B batch, C channels.
#include <algorithm>
#include <cmath>

#include "models/image_encoders.h"
#include "nn/encoder.h"
#include "nn/image.h"

namespace ferry::models::mobilenet_v2 {
using namespace nn;
namespace op = ir::op;

namespace {

struct MobileNetV2Config {
  explicit MobileNetV2Config(ConfigReader& r) {
    r.read("num_channels", num_channels);
    read_size(r, "image_size", image_size);
    r.read("depth_multiplier", depth_multiplier);
    if (!(depth_multiplier > 0 && depth_multiplier < 64)) r.fail("depth_multiplier", "a number from 0 to 64");
    r.read("depth_divisible_by", depth_divisible_by, 1, 1 << 16);
    r.read("min_depth", min_depth, 1, 1 << 16);
    r.read("expand_ratio", expand_ratio);
    if (!(expand_ratio > 0 && expand_ratio < 1024)) r.fail("expand_ratio", "a number from 0 to 1024");
    r.read("output_stride", output_stride);
    r.read("first_layer_is_expansion", first_layer_is_expansion);
    r.read("finegrained_output", finegrained_output);
    r.read_choice("hidden_act", hidden_act, activation_names());
    r.read("tf_padding", tf_padding);
    r.read("layer_norm_eps", layer_norm_eps);
    r.ignore("semantic_loss_ignore_index");
    num_labels = labels_or_none(r);
  }
  int64_t num_channels = 3;
  Size image_size{224, 224};
  double depth_multiplier = 1;
  int64_t depth_divisible_by = 8;
  int64_t min_depth = 8;
  double expand_ratio = 6;
  int64_t output_stride = 32;
  bool first_layer_is_expansion = true;
  bool finegrained_output = true;
  std::string hidden_act = "relu6";
  bool tf_padding = true;
  float layer_norm_eps = 0.001f;
  int64_t num_labels = 2;

  /// make_divisible of channels * factor, rounded as Python does: halves to even.
  [[nodiscard]] int64_t channels(int64_t count, double factor) const {
    const auto value = static_cast<int64_t>(std::nearbyint(static_cast<double>(count) * factor));
    const double half = static_cast<double>(depth_divisible_by) / 2;
    const int64_t near =
        static_cast<int64_t>(static_cast<double>(value) + half) / depth_divisible_by * depth_divisible_by;
    const int64_t out = std::max(min_depth, near);
    return static_cast<double>(out) < 0.9 * static_cast<double>(value) ? out + depth_divisible_by : out;
  }
  [[nodiscard]] int64_t depth(int64_t count) const { return channels(count, depth_multiplier); }
  [[nodiscard]] int64_t last_depth() const {
    return finegrained_output && depth_multiplier < 1 ? 1280 : depth(1280);
  }
};

struct Window {
  int64_t kernel = 1, stride = 1, dilation = 1;
  bool depthwise = false;
};

// MobileNetV2ConvLayer: a convolution, its norm and the function.
struct ConvLayer : Module<MobileNetV2Config> {
  using Module::Module;

  Tensor operator()(const Tensor& x, int64_t out, const Window& window = {}, bool activates = true) const {
    const auto named = scope.named();
    ConvOptions options{.kernel = {window.kernel, window.kernel}, .bias = false};
    if (window.stride != 1) options.stride = {window.stride, window.stride};
    if (window.dilation != 1) options.dilation = {window.dilation, window.dilation};
    if (window.depthwise) options.groups = out;
    if (window.kernel > 1) pad(options, window, x);
    const Conv convolution(at("convolution"), *x.dim(1).constant(), out, std::move(options));
    const Tensor y = BatchNorm(at("normalization"), out, c.layer_norm_eps)(convolution(x));
    const Scope function = at("activation");
    return activates ? activation(c.hidden_act, y, &function) : y;
  }

 private:
  // TensorFlow's "SAME", which depends on the size of the image, or half of the window on both sides.
  void pad(ConvOptions& options, const Window& window, const Tensor& x) const {
    const int64_t border = (window.kernel - 1) / 2 * window.dilation;
    options.padding = {border, border};
    if (!c.tf_padding) return;
    options.end_padding = {0, 0};
    for (size_t i = 0; i < 2; ++i) {
      const int64_t rest = *x.dim(static_cast<int>(i) + 2).constant() % window.stride;
      const int64_t all = std::max<int64_t>(window.kernel - (rest == 0 ? window.stride : rest), 0);
      options.padding[i] = all / 2 * window.dilation;
      options.end_padding[i] = (all - all / 2) * window.dilation;
    }
  }
};

// Widens to `inner` channels, looks around, narrows to `out`.
Tensor inverted_residual(const Scope& place, const MobileNetV2Config& c, int64_t inner, int64_t out,
                         const Window& window, bool widens, const Tensor& x) {
  const Tensor wide = widens ? ConvLayer(place / "expand_1x1", c)(x, inner) : x;
  const Tensor seen = ConvLayer(place / "conv_3x3", c)(wide, inner, window);
  return ConvLayer(place / "reduce_1x1", c)(seen, out, {}, false);
}

struct MobileNetV2Model : Module<MobileNetV2Config> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "mobilenet_v2";

  Tensor hidden(const Inputs& in) const {  // -> [B, C, H', W']
    constexpr int64_t kChannels[] = {16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320};
    constexpr int64_t kStrides[] = {2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1};
    const Scope stem = at("conv_stem");
    const int64_t first = c.depth(32);
    Tensor x = ConvLayer(stem / "first_conv", c)(in["pixel_values"], first, {3, 2});
    x = inverted_residual(stem, c, first, c.depth(kChannels[0]), {3, 1, 1, true}, !c.first_layer_is_expansion,
                          x);
    int64_t shrunk = 2, dilation = 1;
    for (int64_t i = 0; i < 16; ++i) {
      Window window{3, kStrides[i], 1, true};
      if (shrunk == c.output_stride) {  // Windows widen instead, from the next layer on.
        window.stride = 1;
        window.dilation = dilation;
        dilation *= kStrides[i];
      }
      shrunk *= window.stride;
      const int64_t narrow = c.depth(kChannels[i]), out = c.depth(kChannels[i + 1]);
      const Tensor y =
          inverted_residual(at("layer") / i, c, c.channels(narrow, c.expand_ratio), out, window, true, x);
      x = window.stride == 1 && narrow == out ? x + y : y;
    }
    return ConvLayer(at("conv_1x1"), c)(x, c.last_depth());
  }
  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

struct MobileNetV2ForImageClassification : OverBody<MobileNetV2Model> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    return {{"logits",
             classifier(at("classifier"), c.last_depth(), c.num_labels, mean_of_image(body.hidden(in)))}};
  }
};

}  // namespace

Architecture arch() {
  return ArchBuilder<MobileNetV2Config>("mobilenet_v2")
      .prefix(MobileNetV2Model::base_model_prefix)
      .may_be_unused({"classifier", "segmentation_head"})
      .inputs([](const MobileNetV2Config& c) {
        return std::vector{image_input(
            {.num_channels = c.num_channels, .size = c.image_size, .any_size = false, .named = false})};
      })
      .body<MobileNetV2Model>("feature-extraction", "MobileNetV2Model")
      .task<MobileNetV2ForImageClassification>("image-classification", "MobileNetV2ForImageClassification");
}

}  // namespace ferry::models::mobilenet_v2
