// Whisper: BART's decoder after an encoder of spectrograms. Source: transformers 4.57.6,
// models/whisper/modeling_whisper.py; struct names are that file's, the strings in at("...") its checkpoint
// keys. Axes: B batch, F mel bins, L frames, E = L / 2, S new tokens, H d_model.
#include "models/bart.h"
#include "models/seq2seq.h"
#include "models/wav2vec2.h"
#include "nn/convolution.h"

namespace ferry::models::whisper {
using namespace nn;
namespace op = ir::op;

struct WhisperConfig : bart::BartConfig {
  explicit WhisperConfig(ConfigReader& r) {
    form = {.normalize_before = true,
            .embedding_norm = false,
            .final_norm = true,
            .key_bias = false,
            .position_offset = 0};
    vocab_size = 51865;
    max_position_embeddings = 448;
    d_model = 384;
    encoder_layers = decoder_layers = 4;
    encoder_attention_heads = decoder_attention_heads = 6;
    encoder_ffn_dim = decoder_ffn_dim = 1536;
    num_labels = 2;
    read(r);
    scale_embedding = false;  // Read by transformers, and not used.
    r.read("max_target_positions", max_position_embeddings);
    r.read("max_source_positions", max_source_positions);
    r.read("num_mel_bins", num_mel_bins);
    r.read("classifier_proj_size", classifier_proj_size);
    r.read("use_weighted_layer_sum", use_weighted_layer_sum);
    // Of training, of generation, of the alignment of words.
    for (const char* key : {"apply_spec_augment", "mask_time_prob", "mask_time_length", "mask_time_min_masks",
                            "mask_feature_prob", "mask_feature_length", "mask_feature_min_masks",
                            "median_filter_width", "alignment_heads", "max_length"})
      r.ignore(key);
  }

  int64_t max_source_positions = 1500;
  int64_t num_mel_bins = 80;
  int64_t classifier_proj_size = 256;
  bool use_weighted_layer_sum = false;

  [[nodiscard]] std::vector<InputSpec> features() const {
    return {{"input_features",
             DType::f32,
             {"batch_size", num_mel_bins, 2 * max_source_positions},
             {Fill::Kind::uniform, -1, 1}}};
  }
  [[nodiscard]] Seq2SeqSignature signature() const {
    Seq2SeqSignature out = BartConfig::signature();
    out.encoder = features();
    out.max_encoder_length = max_source_positions;
    out.encoder_last_hidden_state = true;
    return out;
  }
};

struct WhisperEncoder : Module<WhisperConfig> {
  using Module::Module;
  Conv conv1{at("conv1"), c.num_mel_bins, c.d_model, {.kernel = {3}, .padding = {1}}};
  Conv conv2{at("conv2"), c.d_model, c.d_model, {.kernel = {3}, .stride = {2}, .padding = {1}}};
  Embedding embed_positions{at("embed_positions"), c.max_source_positions, c.d_model};
  List<bart::BartEncoderLayer> layers{at("layers"), c.encoder_layers, c};
  LayerNorm layer_norm{at("layer_norm"), c.d_model, 1e-5f};

  // [B, F, L] -> what goes into each layer, and the result: [B, E, H] each.
  [[nodiscard]] std::vector<Tensor> states(const Tensor& features) const {
    const Scope function = at("gelu");
    const Tensor y = activation("gelu", conv2(activation("gelu", conv1(features), &function)), &function);
    std::vector<Tensor> out = {op::transpose(y, {0, 2, 1}) + embed_positions.weight()};
    for (const auto& layer : layers) out.push_back(layer(out.back(), Tensor()));
    out.back() = layer_norm(out.back());
    return out;
  }
};

struct WhisperModel : Module<WhisperConfig> {
  using Module::Module;

  [[nodiscard]] Embedding tokens() const { return {at("decoder.embed_tokens"), c.vocab_size, c.d_model}; }
  [[nodiscard]] Tensor encode(const Inputs& in) const {
    return WhisperEncoder(at("encoder"), c).states(in["input_features"]).back();
  }
  [[nodiscard]] Tensor decode(Decoding& run) const {
    return bart::BartDecoder(at("decoder"), c)(tokens(), run);
  }
};

struct WhisperForConditionalGeneration : Module<WhisperConfig> {
  using Module::Module;
  WhisperModel model{at("model"), c};

  [[nodiscard]] Tensor encode(const Inputs& in) const { return model.encode(in); }
  [[nodiscard]] Tensor decode(Decoding& run) const {  // -> [B, S, vocab]
    return language_head(at("proj_out"), model.tokens(), c.tie_word_embeddings, model.decode(run));
  }
};

struct WhisperForAudioClassification : Module<WhisperConfig> {
  using Module::Module;
  Linear projector{at("projector"), c.d_model, c.classifier_proj_size};
  Linear classifier{at("classifier"), c.classifier_proj_size, c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    at("model").ignore("decoder");
    const auto states = WhisperEncoder(at("model.encoder"), c).states(in["input_features"]);
    const Tensor x = c.use_weighted_layer_sum ? wav2vec2::weighted_sum(scope, states) : states.back();
    return {{"logits", classifier(op::reduce("ReduceMean", projector(x), {1}, false))}};
  }
};

Architecture arch() {
  ArchBuilder<WhisperConfig> builder("whisper");
  builder.prefix("model").may_be_unused({"proj_out", "projector", "classifier", "layer_weights"});
  add_seq2seq_tasks<WhisperModel, WhisperForConditionalGeneration>(
      builder, "model", "WhisperModel", "WhisperForConditionalGeneration", "automatic-speech-recognition");
  return builder.inputs([](const WhisperConfig& c) { return c.features(); })
      .task<WhisperForAudioClassification>("audio-classification", "WhisperForAudioClassification");
}

}  // namespace ferry::models::whisper
