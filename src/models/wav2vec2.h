#pragma once
// wav2vec 2.0's parts that its relatives share. Source: transformers 4.57.6,
// models/wav2vec2/modeling_wav2vec2.py. Axes: B batch, L samples, T frames, C channels, H hidden size, h
// heads.
#include <string>
#include <utility>
#include <vector>

#include "nn/architecture.h"
#include "nn/convolution.h"
#include "nn/encoder.h"

namespace ferry::models::wav2vec2 {

struct Wav2Vec2Config {
  Wav2Vec2Config() = default;
  explicit Wav2Vec2Config(nn::ConfigReader& r) {
    read(r);
    read_adapter(r);
  }
  /// The keys that all have.
  void read(nn::ConfigReader& r);
  /// Of the convolutions after the encoder.
  void read_adapter(nn::ConfigReader& r);

  static constexpr const char* prefix = "wav2vec2";
  int64_t vocab_size = 32;
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  std::string hidden_act = "gelu";
  float layer_norm_eps = 1e-5f;
  std::string feat_extract_norm = "group";
  std::string feat_extract_activation = "gelu";
  std::vector<int64_t> conv_dim = std::vector<int64_t>(7, 512);
  std::vector<int64_t> conv_stride = {5, 2, 2, 2, 2, 2, 2};
  std::vector<int64_t> conv_kernel = {10, 3, 3, 3, 3, 2, 2};
  bool conv_bias = false;
  int64_t num_conv_pos_embeddings = 128;
  int64_t num_conv_pos_embedding_groups = 16;
  bool conv_pos_batch_norm = false;  // Hubert: a norm before the convolution instead of one of its weight.
  bool feat_proj_layer_norm = true;  // Hubert may have none.
  bool do_stable_layer_norm = false;
  std::optional<int64_t> adapter_attn_dim;
  bool use_weighted_layer_sum = false;
  int64_t classifier_proj_size = 256;
  std::vector<int64_t> tdnn_dim = {512, 512, 512, 512, 1500};
  std::vector<int64_t> tdnn_kernel = {5, 3, 3, 1, 1};
  std::vector<int64_t> tdnn_dilation = {1, 2, 3, 1, 1};
  int64_t xvector_output_dim = 512;
  bool add_adapter = false;
  int64_t adapter_kernel_size = 3;
  int64_t adapter_stride = 2;
  int64_t num_adapter_layers = 3;
  int64_t output_hidden_size = 0;
  int64_t num_labels = 2;

  /// The width of the last hidden states.
  [[nodiscard]] int64_t output_size() const { return add_adapter ? output_hidden_size : hidden_size; }
  /// input_values [batch_size, sequence_length], long enough for so many frames.
  [[nodiscard]] std::vector<nn::InputSpec> inputs(int64_t frames = 1) const;
  /// The frames that the layers over them need for one result, and one more for its deviation.
  [[nodiscard]] int64_t xvector_frames() const;
  /// Optimum's name of the axis of frames: "( sequence_length - 10 ) // 5 + 1".
  [[nodiscard]] std::string frames_axis() const;
};

/// "feature_extractor": convolutions of the sound. [B, L] -> [B, T, C]
struct FeatureEncoder : nn::Module<Wav2Vec2Config> {
  using Module::Module;
  nn::Tensor operator()(const nn::Tensor& input_values) const;
};

/// "feature_projection": [B, T, C] -> [B, T, H]
struct FeatureProjection : nn::Module<Wav2Vec2Config> {
  using Module::Module;
  nn::Linear projection{at("projection"), c.conv_dim.back(), c.hidden_size};
  nn::Tensor operator()(const nn::Tensor& x) const;
};

/// "pos_conv_embed": what the frames around one say of its position. [B, T, H] -> [B, T, H]
struct PositionalConvEmbedding : nn::Module<Wav2Vec2Config> {
  using Module::Module;
  nn::Tensor operator()(const nn::Tensor& x) const;
};

/// A convolution in groups over [B, H, T] that keeps T, also with an even kernel.
nn::Tensor same_length_conv(const nn::Tensor& x, const nn::Tensor& weight, const nn::Tensor& bias,
                            int64_t kernel, int64_t groups);

struct Wav2Vec2Attention : nn::Module<Wav2Vec2Config> {
  using Module::Module;
  nn::Linear k_proj{at("k_proj"), c.hidden_size, c.hidden_size};
  nn::Linear v_proj{at("v_proj"), c.hidden_size, c.hidden_size};
  nn::Linear q_proj{at("q_proj"), c.hidden_size, c.hidden_size};
  nn::Linear out_proj{at("out_proj"), c.hidden_size, c.hidden_size};

  /// x [B, T, H] -> [B, T, H]. `bias` is added to the scores, if there is one.
  nn::Tensor operator()(const nn::Tensor& x, const nn::Tensor& bias) const;
  /// What all layers add to their scores: nothing.
  static nn::Tensor shared_bias(const nn::Scope&, const Wav2Vec2Config&, const nn::Tensor&) { return {}; }
};

struct FeedForward : nn::Module<Wav2Vec2Config> {
  using Module::Module;
  nn::Linear intermediate_dense{at("intermediate_dense"), c.hidden_size, c.intermediate_size};
  nn::Linear output_dense{at("output_dense"), c.intermediate_size, c.hidden_size};
  nn::Tensor operator()(const nn::Tensor& x) const;
};

/// "adapter_layer" of a layer: what a language adds to it. [B, T, H] -> [B, T, H]
nn::Tensor attention_adapter(const nn::Scope& place, const Wav2Vec2Config& c, const nn::Tensor& x);
/// "adapter": convolutions after the encoder. [B, T, H] -> [B, fewer frames, output_hidden_size]
nn::Tensor adapter(const nn::Scope& place, const Wav2Vec2Config& c, nn::Tensor x);

template <typename Attention, typename Config>
struct EncoderLayer : nn::Module<Config> {
  using nn::Module<Config>::Module;
  Attention attention{this->at("attention"), this->c};
  nn::LayerNorm layer_norm{this->at("layer_norm"), this->c.hidden_size, this->c.layer_norm_eps};
  FeedForward feed_forward{this->at("feed_forward"), this->c};
  nn::LayerNorm final_layer_norm{this->at("final_layer_norm"), this->c.hidden_size, this->c.layer_norm_eps};

  nn::Tensor operator()(const nn::Tensor& x, const nn::Tensor& bias) const {  // [B, T, H] -> [B, T, H]
    const auto named = this->scope.named();
    if (!this->c.do_stable_layer_norm) {
      const nn::Tensor y = layer_norm(x + attention(x, bias));
      return final_layer_norm(y + feed_forward(y));
    }
    nn::Tensor y = x + attention(layer_norm(x), bias);
    y = y + feed_forward(final_layer_norm(y));
    return this->c.adapter_attn_dim ? y + attention_adapter(this->at("adapter_layer"), this->c, y) : y;
  }
};

template <typename Attention, typename Positions, typename Config>
struct Encoder : nn::Module<Config> {
  using nn::Module<Config>::Module;
  Positions pos_conv_embed{this->at("pos_conv_embed"), this->c};
  nn::LayerNorm layer_norm{this->at("layer_norm"), this->c.hidden_size, this->c.layer_norm_eps};
  nn::List<EncoderLayer<Attention, Config>> layers{this->at("layers"), this->c.num_hidden_layers, this->c};

  /// [B, T, H] -> the hidden states before, between and after the layers.
  std::vector<nn::Tensor> operator()(nn::Tensor x) const {
    x = x + pos_conv_embed(x);
    if (!this->c.do_stable_layer_norm) x = layer_norm(x);
    const nn::Tensor bias = Attention::shared_bias(this->at("layers"), this->c, x);
    std::vector<nn::Tensor> states = {x};
    for (const auto& layer : layers) states.push_back(layer(states.back(), bias));
    if (this->c.do_stable_layer_norm) states.back() = layer_norm(states.back());
    return states;
  }
};

template <typename Config, typename Attention = Wav2Vec2Attention,
          typename Positions = PositionalConvEmbedding>
struct Model : nn::Module<Config> {
  using nn::Module<Config>::Module;
  static constexpr const char* base_model_prefix = Config::prefix;
  FeatureEncoder feature_extractor{this->at("feature_extractor"), this->c};
  FeatureProjection feature_projection{this->at("feature_projection"), this->c};
  Encoder<Attention, Positions, Config> encoder{this->at("encoder"), this->c};

  /// The encoder's hidden states, [B, T, H] each.
  std::vector<nn::Tensor> states(const nn::Inputs& in) const {
    this->scope.ignore("masked_spec_embed");  // For training.
    return encoder(feature_projection(feature_extractor(in["input_values"])));
  }
  /// The last of them, after the adapter if there is one.
  nn::Tensor hidden(const std::vector<nn::Tensor>& states) const {
    return this->c.add_adapter ? adapter(this->at("adapter"), this->c, states.back()) : states.back();
  }

  nn::Outputs operator()(const nn::Inputs& in) const { return {{"last_hidden_state", hidden(states(in))}}; }
};

template <typename Body>
struct ForCTC : nn::OverBody<Body> {
  using nn::OverBody<Body>::OverBody;
  nn::Linear lm_head{this->at("lm_head"), this->c.output_size(), this->c.vocab_size};

  nn::Outputs operator()(const nn::Inputs& in) const {  // -> [B, T, vocab]
    return {{"logits", lm_head(this->body.hidden(this->body.states(in)))}};
  }
};

/// The sum of hidden states, weighted by "layer_weights".
nn::Tensor weighted_sum(const nn::Scope& root, const std::vector<nn::Tensor>& states);
/// Errors: Error{invalid_config} if there is an adapter, which these heads are not made for.
void refuse_adapter(const Wav2Vec2Config& c, const char* head);

/// Base of the heads that may look at all layers.
template <typename Body>
struct OverLayers : nn::OverBody<Body> {
  using nn::OverBody<Body>::OverBody;

  [[nodiscard]] nn::Tensor features(const nn::Inputs& in) const {  // [B, T, H]
    const auto states = this->body.states(in);
    if (this->c.use_weighted_layer_sum) this->body.scope.ignore("adapter");  // It changes the last one alone.
    return this->c.use_weighted_layer_sum ? weighted_sum(this->scope, states) : this->body.hidden(states);
  }
};

template <typename Body>
struct ForSequenceClassification : OverLayers<Body> {
  using OverLayers<Body>::OverLayers;
  nn::Linear projector{this->at("projector"), this->c.hidden_size, this->c.classifier_proj_size};
  nn::Linear classifier{this->at("classifier"), this->c.classifier_proj_size, this->c.num_labels};

  nn::Outputs operator()(const nn::Inputs& in) const {  // -> [B, labels]
    refuse_adapter(this->c, "audio-classification");
    return {{"logits", classifier(ir::op::reduce("ReduceMean", projector(this->features(in)), {1}, false))}};
  }
};

template <typename Body>
struct ForAudioFrameClassification : OverLayers<Body> {
  using OverLayers<Body>::OverLayers;
  nn::Linear classifier{this->at("classifier"), this->c.hidden_size, this->c.num_labels};

  nn::Outputs operator()(const nn::Inputs& in) const {  // -> [B, T, labels]
    refuse_adapter(this->c, "audio-frame-classification");
    return {{"logits", classifier(this->features(in))}};
  }
};

/// Convolutions over the frames, [B, T, tdnn_dim[0]], then their mean and deviation: [B, 2 tdnn_dim.back()].
nn::Tensor tdnn_statistics(const nn::Scope& root, const Wav2Vec2Config& c, nn::Tensor x);

template <typename Body>
struct ForXVector : OverLayers<Body> {
  using OverLayers<Body>::OverLayers;
  nn::Linear projector{this->at("projector"), this->c.hidden_size, this->c.tdnn_dim[0]};
  nn::Linear feature_extractor{this->at("feature_extractor"), 2 * this->c.tdnn_dim.back(),
                               this->c.xvector_output_dim};
  nn::Linear classifier{this->at("classifier"), this->c.xvector_output_dim, this->c.xvector_output_dim};

  nn::Outputs operator()(const nn::Inputs& in) const {  // -> 2 x [B, xvector_output_dim]
    const nn::Tensor x = tdnn_statistics(this->scope, this->c, projector(this->features(in)));
    const nn::Tensor embeddings = feature_extractor(x);
    return {{"logits", classifier(embeddings)}, {"embeddings", embeddings}};
  }
};

/// The tasks that all have. `class_prefix` is how transformers' classes start: "Wav2Vec2".
template <typename Body, typename Config = typename Body::ConfigType>
nn::ArchBuilder<Config> audio_arch(const std::string& model_type, const std::string& class_prefix) {
  using nn::OutputAxes;
  nn::ArchBuilder<Config> builder(model_type);
  builder
      .prefix(Config::prefix)
      // The heads, those of other tasks and of training; "feature_extractor" is also one of the body's parts.
      .may_be_unused({"lm_head", "projector", "classifier", "layer_weights", "tdnn", "objective",
                      "feature_extractor.weight", "feature_extractor.bias", "quantizer", "project_hid",
                      "project_q", "ctc_proj", "speaker_proj", "label_embeddings_concat"})
      .inputs([](const Config& c) { return c.inputs(); })
      .output_axes(OutputAxes{{"last_hidden_state", {{1, "sequence_length"}}}})
      .template body<Body>("feature-extraction", class_prefix + "Model")
      .output_axes([](const Config& c) {
        return OutputAxes{{"logits", {{1, c.frames_axis()}}}};
      })
      .template task<ForCTC<Body>>("automatic-speech-recognition", class_prefix + "ForCTC")
      .output_axes(OutputAxes{})
      .template task<ForSequenceClassification<Body>>("audio-classification",
                                                      class_prefix + "ForSequenceClassification");
  return builder;
}

/// These and those of single frames and of speakers.
template <typename Body, typename Config = typename Body::ConfigType>
nn::ArchBuilder<Config> speaker_arch(const std::string& model_type, const std::string& class_prefix) {
  auto builder = audio_arch<Body>(model_type, class_prefix);
  builder.output_axes(nn::OutputAxes{{"logits", {{1, "sequence_length"}}}})
      .template task<ForAudioFrameClassification<Body>>("audio-frame-classification",
                                                        class_prefix + "ForAudioFrameClassification")
      .output_axes(nn::OutputAxes{})
      .inputs([](const Config& c) { return c.inputs(c.xvector_frames()); })
      .template task<ForXVector<Body>>("audio-xvector", class_prefix + "ForXVector");
  return builder;
}

}  // namespace ferry::models::wav2vec2
