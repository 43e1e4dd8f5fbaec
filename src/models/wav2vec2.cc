// wav2vec 2.0: convolutions of a sound make frames, a transformer reads them.
// Source: transformers 4.57.6, models/wav2vec2/modeling_wav2vec2.py. There is no mask of padding: Optimum's
// exports have none.
#include "models/wav2vec2.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "models/audio_encoders.h"
#include "nn/image.h"
#include "tensor/weight_norm.h"

namespace ferry::models::wav2vec2 {
using namespace nn;
namespace op = ir::op;

namespace {
constexpr int64_t kLongest = int64_t{1} << 32;  // Samples that a single frame may need.
}

void Wav2Vec2Config::read(ConfigReader& r) {
  r.read("vocab_size", vocab_size);
  r.read("hidden_size", hidden_size);
  r.read("num_hidden_layers", num_hidden_layers);
  r.read("num_attention_heads", num_attention_heads);
  if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
  r.read("intermediate_size", intermediate_size);
  r.read_choice("hidden_act", hidden_act, activation_names());
  r.read("layer_norm_eps", layer_norm_eps);
  r.read_choice("feat_extract_norm", feat_extract_norm, {"group", "layer"});
  r.read_choice("feat_extract_activation", feat_extract_activation, activation_names());
  read_sizes(r, "conv_dim", conv_dim);
  read_sizes(r, "conv_stride", conv_stride, conv_dim.size());
  read_sizes(r, "conv_kernel", conv_kernel, conv_dim.size());
  int64_t samples = 1;
  for (size_t i = conv_dim.size(); i-- > 0;) {
    samples = (samples - 1) * conv_stride[i] + conv_kernel[i];
    if (samples > kLongest) r.fail("conv_stride", "frames of fewer than 2^32 samples");
  }
  r.read("conv_bias", conv_bias);
  r.read("num_conv_pos_embeddings", num_conv_pos_embeddings);
  r.read("num_conv_pos_embedding_groups", num_conv_pos_embedding_groups);
  if (hidden_size % num_conv_pos_embedding_groups != 0)
    r.fail("num_conv_pos_embedding_groups", "a divisor of hidden_size");
  r.read("do_stable_layer_norm", do_stable_layer_norm);
  r.read("adapter_attn_dim", adapter_attn_dim, 1);
  r.read("use_weighted_layer_sum", use_weighted_layer_sum);
  r.read("classifier_proj_size", classifier_proj_size);
  read_sizes(r, "tdnn_dim", tdnn_dim);
  read_sizes(r, "tdnn_kernel", tdnn_kernel, tdnn_dim.size());
  read_sizes(r, "tdnn_dilation", tdnn_dilation, tdnn_dim.size());
  r.read("xvector_output_dim", xvector_output_dim);
  num_labels = r.num_labels();
  output_hidden_size = hidden_size;
  for (const char* key : {"hidden_dropout",
                          "activation_dropout",
                          "feat_proj_dropout",
                          "feat_quantizer_dropout",
                          "feat_extract_dropout",
                          "final_dropout",
                          "layerdrop",
                          "apply_spec_augment",
                          "mask_time_prob",
                          "mask_time_length",
                          "mask_time_min_masks",
                          "mask_feature_prob",
                          "mask_feature_length",
                          "mask_feature_min_masks",
                          "mask_channel_prob",
                          "mask_channel_length",
                          "mask_channel_min_space",
                          "mask_channel_other",
                          "mask_channel_selection",
                          "mask_time_min_space",
                          "mask_time_other",
                          "mask_time_selection",
                          "num_codevectors_per_group",
                          "num_codevector_groups",
                          "num_negatives",
                          "contrastive_logits_temperature",
                          "codevector_dim",
                          "proj_codevector_dim",
                          "diversity_loss_weight",
                          "ctc_loss_reduction",
                          "ctc_zero_infinity",
                          "num_feat_extract_layers",
                          "num_ctc_classes",
                          "num_clusters",
                          "replace_prob",
                          "freeze_feat_extract_train",
                          "no_mask_channel_overlap",
                          "no_mask_time_overlap"})
    r.ignore(key);
}

void Wav2Vec2Config::read_adapter(ConfigReader& r) {
  r.read("add_adapter", add_adapter);
  r.read("adapter_kernel_size", adapter_kernel_size, 1, 1 << 20);
  r.read("adapter_stride", adapter_stride, 1, 1 << 20);
  r.read("num_adapter_layers", num_adapter_layers, 0, 16);
  r.read("output_hidden_size", output_hidden_size);
}

std::vector<InputSpec> Wav2Vec2Config::inputs(int64_t frames) const {
  int64_t length = frames;
  for (int64_t i = 0; add_adapter && i < num_adapter_layers; ++i)
    length = std::clamp<int64_t>((length - 1) * adapter_stride + adapter_kernel_size - 2, 1, kLongest);
  for (size_t i = conv_dim.size(); i-- > 0;)
    length = std::min((length - 1) * conv_stride[i] + conv_kernel[i], kLongest);
  InputSpec input{
      "input_values", DType::f32, {"batch_size", "sequence_length"}, {Fill::Kind::uniform, -1, 1}};
  input.least["sequence_length"] = length;
  input.flags["sequence_length"] = "audio_sequence_length";
  return {input};
}

int64_t Wav2Vec2Config::xvector_frames() const {
  int64_t frames = 2;
  for (size_t i = 0; i < tdnn_dim.size(); ++i)
    frames = std::min(frames + tdnn_dilation[i] * (tdnn_kernel[i] - 1), kLongest);
  return frames;
}

std::string Wav2Vec2Config::frames_axis() const {
  std::string axis = "sequence_length";
  for (size_t i = 0; i < conv_kernel.size(); ++i)
    axis = fmt::format("( {} - {} ) // {} + 1", axis, conv_kernel[i], conv_stride[i]);
  return axis;
}

namespace {

Tensor turned(const Tensor& x) {  // [B, T, C] <-> [B, C, T]
  return op::transpose(x, {0, 2, 1});
}

// One group a channel is what GroupNorm is given here.
Tensor channel_norm(const Scope& place, int64_t channels, const Tensor& x) {
  const auto named = place.named();
  return op::emit("InstanceNormalization",
                  {x, place.parameter("weight", {channels}), place.parameter("bias", {channels})},
                  {{"epsilon", 1e-5f}});
}

}  // namespace

Tensor FeatureEncoder::operator()(const Tensor& input_values) const {
  Tensor x = op::unsqueeze(input_values, {1});  // [B, 1, L]
  for (size_t i = 0; i < c.conv_dim.size(); ++i) {
    const Scope layer = at("conv_layers") / static_cast<int64_t>(i);
    const int64_t in = i == 0 ? 1 : c.conv_dim[i - 1], out = c.conv_dim[i];
    x = Conv(layer / "conv", in, out,
             {.kernel = {c.conv_kernel[i]}, .stride = {c.conv_stride[i]}, .bias = c.conv_bias})(x);
    const Scope norm = layer / "layer_norm";
    if (c.feat_extract_norm == "layer") x = turned(LayerNorm(norm, out, 1e-5f)(turned(x)));
    if (c.feat_extract_norm == "group" && i == 0) x = channel_norm(norm, out, x);
    const Scope function = layer / "activation";
    const auto named = function.named();
    x = activation(c.feat_extract_activation, x, &function);
  }
  return turned(x);
}

Tensor FeatureProjection::operator()(const Tensor& x) const {
  if (!c.feat_proj_layer_norm) return projection(x);
  return projection(LayerNorm(at("layer_norm"), c.conv_dim.back(), c.layer_norm_eps)(x));
}

Tensor same_length_conv(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t kernel,
                        int64_t groups) {
  // The source pads both sides alike and drops the last frame if the kernel is even.
  const int64_t before = kernel / 2, after = kernel % 2 == 0 ? before - 1 : before;
  return op::emit("Conv", {x, weight, bias},
                  {{"kernel_shape", std::vector<int64_t>{kernel}},
                   {"pads", std::vector<int64_t>{before, after}},
                   {"group", groups}});
}

namespace {

// By the names of torch's older weight_norm and of its parametrization.
Tensor normalized_weight(const Scope& conv, const Dims& dims) {
  const bool old = conv.has("weight_g");
  const Weight magnitude =
      conv.weight(old ? "weight_g" : "parametrizations.weight.original0", {1, 1, dims[2]});
  const Weight direction = conv.weight(old ? "weight_v" : "parametrizations.weight.original1", dims);
  return conv.constant("weight", weight_norm(direction, magnitude, 2));
}

}  // namespace

Tensor PositionalConvEmbedding::operator()(const Tensor& x) const {
  const Scope conv = at("conv");
  const auto named = conv.named();
  const int64_t kernel = c.num_conv_pos_embeddings, groups = c.num_conv_pos_embedding_groups;
  const Dims dims = {c.hidden_size, c.hidden_size / groups, kernel};
  Tensor y = turned(x);
  if (c.conv_pos_batch_norm) y = BatchNorm(at("batch_norm"), c.hidden_size)(y);
  const Tensor weight =
      c.conv_pos_batch_norm ? conv.parameter("weight", dims) : normalized_weight(conv, dims);
  const Scope function = at("activation");
  y = same_length_conv(y, weight, conv.parameter("bias", {c.hidden_size}), kernel, groups);
  return turned(activation(c.feat_extract_activation, y, &function));
}

Tensor Wav2Vec2Attention::operator()(const Tensor& x, const Tensor& bias) const {
  const auto named = scope.named();
  return out_proj(
      op::attention(q_proj(x), k_proj(x), v_proj(x), {.mask = bias, .heads = c.num_attention_heads}));
}

Tensor FeedForward::operator()(const Tensor& x) const {
  const auto named = scope.named();
  const Scope function = at("intermediate_act_fn");
  return output_dense(activation(c.hidden_act, intermediate_dense(x), &function));
}

Tensor attention_adapter(const Scope& place, const Wav2Vec2Config& c, const Tensor& x) {
  const LayerNorm norm(place / "norm", c.hidden_size, 1e-5f);
  const Linear down(place / "linear_1", c.hidden_size, *c.adapter_attn_dim);
  const Linear up(place / "linear_2", *c.adapter_attn_dim, c.hidden_size);
  return up(op::unary("Relu", down(norm(x))));
}

Tensor adapter(const Scope& place, const Wav2Vec2Config& c, Tensor x) {
  const auto named = place.named();
  const int64_t width = c.output_hidden_size;
  if (width != c.hidden_size) {
    x = LayerNorm(place / "proj_layer_norm", width, 1e-5f)(Linear(place / "proj", c.hidden_size, width)(x));
  }
  x = turned(x);
  for (int64_t i = 0; i < c.num_adapter_layers; ++i) {
    const Conv conv(place / "layers" / i / "conv", width, 2 * width,
                    {.kernel = {c.adapter_kernel_size}, .stride = {c.adapter_stride}, .padding = {1}});
    const auto parts = op::split(conv(x), 1, {width, width});  // A gated linear unit.
    x = parts[0] * op::unary("Sigmoid", parts[1]);
  }
  return turned(x);
}

Tensor weighted_sum(const Scope& root, const std::vector<Tensor>& states) {
  const auto named = (root / "layer_weights").named();
  const auto count = static_cast<int64_t>(states.size());
  const Tensor weights = op::softmax(root.parameter("layer_weights", {count}));
  Tensor sum;
  for (int64_t i = 0; i < count; ++i) {
    const Tensor part = states[static_cast<size_t>(i)] * select(weights, 0, i);
    sum = sum ? sum + part : part;
  }
  return sum;
}

void refuse_adapter(const Wav2Vec2Config& c, const char* head) {
  if (!c.add_adapter) return;
  throw Error(
      ErrorCode::invalid_config,
      fmt::format("config.json: add_adapter is true, and transformers has no {} over an adapter", head));
}

Tensor tdnn_statistics(const Scope& root, const Wav2Vec2Config& c, Tensor x) {
  x = turned(x);
  for (size_t i = 0; i < c.tdnn_dim.size(); ++i) {
    const Scope kernel = root / "tdnn" / static_cast<int64_t>(i) / "kernel";
    const int64_t in = c.tdnn_dim[i == 0 ? 0 : i - 1], out = c.tdnn_dim[i], size = c.tdnn_kernel[i];
    const std::vector<int64_t> channels_first = {0, 2, 1};
    const Weight weight =
        kernel.weight("weight", {out, size * in}).reshape({out, size, in}).transpose(channels_first);
    const Conv conv(kernel, kernel.constant("weight", weight), kernel.parameter("bias", {out}),
                    {.kernel = {size}, .dilation = {c.tdnn_dilation[i]}});
    x = op::unary("Relu", conv(x));
  }
  const auto named = (root / "statistics").named();
  const Tensor mean = op::reduce("ReduceMean", x, {2}, true);
  const Tensor distance = x - mean;
  const Tensor count = op::cast(op::size_of(x, 2), x.dtype()) + -1.0;
  const Tensor variance = op::reduce("ReduceSum", distance * distance, {2}, false) / count;
  return op::concat({op::squeeze(mean, {2}), op::unary("Sqrt", variance)}, -1);
}

Architecture arch() {
  return speaker_arch<Model<Wav2Vec2Config>>("wav2vec2", "Wav2Vec2");
}

}  // namespace ferry::models::wav2vec2
