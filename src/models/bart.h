#pragma once
// What BART shares with its relatives. Source: transformers 4.57.6, models/bart/modeling_bart.py; struct
// names are that file's, the strings in at("...") its checkpoint keys. Axes: B batch, S new tokens, E tokens
// of the encoder, H d_model.
#include <cmath>
#include <optional>
#include <string>

#include "nn/composite.h"

namespace ferry::models::bart {
using namespace nn;
namespace op = ir::op;

/// In what its relatives differ from BART.
struct BartForm {
  bool normalize_before = false;  ///< Norms lie before attention and feed-forward, not after.
  bool embedding_norm = true;
  bool final_norm = false;  ///< "layer_norm" after the last layer.
  bool sinusoidal = false;  ///< Positions are computed, not learned.
  /// Positions are computed as fairseq does: padding has none, and counts for no one.
  bool counted_sinusoids = false;
  bool key_bias = true;
  int64_t position_offset = 2;  ///< Of learned positions in their table.
  /// A text that is read twice starts, the second time, with its own last token (the language), not with
  /// decoder_start_token_id.
  bool starts_with_last = false;
};

struct BartConfig {
  explicit BartConfig(ConfigReader& r) { read(r); }

  BartForm form;
  int64_t vocab_size = 50265;
  std::optional<int64_t> decoder_vocab_size;  ///< Marian's, if it is another.
  int64_t max_position_embeddings = 1024;
  int64_t d_model = 1024;
  int64_t encoder_layers = 12, encoder_attention_heads = 16, encoder_ffn_dim = 4096;
  int64_t decoder_layers = 12, decoder_attention_heads = 16, decoder_ffn_dim = 4096;
  std::string activation_function = "gelu";
  bool scale_embedding = false;
  bool share_encoder_decoder_embeddings = true;  ///< Marian's.
  bool tie_word_embeddings = true;
  int64_t eos_token_id = 2;
  int64_t pad_token_id = 1;
  int64_t decoder_start_token_id = 2;
  int64_t num_labels = 3;
  std::optional<int64_t> cross_attention_hidden_size;  ///< Of the encoder's results, if not d_model.

  [[nodiscard]] int64_t decoder_vocab() const { return decoder_vocab_size.value_or(vocab_size); }
  [[nodiscard]] float embed_scale() const {
    return scale_embedding ? static_cast<float>(std::sqrt(static_cast<double>(d_model))) : 1.0f;
  }
  [[nodiscard]] Seq2SeqSignature signature() const;
  [[nodiscard]] DecoderSignature decoder_signature() const;
  [[nodiscard]] Seq2SeqSignature decoder_side() const;

 protected:
  BartConfig() = default;
  void read(ConfigReader& r);
};

struct BartAttention : Module<BartConfig> {
  BartAttention(Scope place, const BartConfig& config, int64_t num_heads,
                std::optional<int64_t> key_size = std::nullopt)
      : Module(std::move(place), config), heads(num_heads), key_in(key_size.value_or(config.d_model)) {}
  int64_t heads;
  int64_t key_in;  ///< Size of what keys and values are made of.
  Linear k_proj{at("k_proj"), key_in, c.d_model, c.form.key_bias};
  Linear v_proj{at("v_proj"), key_in, c.d_model};
  Linear q_proj{at("q_proj"), c.d_model, c.d_model};
  Linear out_proj{at("out_proj"), c.d_model, c.d_model};

  [[nodiscard]] Decoding::Projection split(const Linear& part) const;
  /// [B, S, H] -> [B, S, H], each of the three.
  [[nodiscard]] Tensor over_itself(const Tensor& x, const Tensor& mask) const;
  [[nodiscard]] Tensor over_cache(const Tensor& x, int64_t layer, Decoding& run) const;
  [[nodiscard]] Tensor over_encoder(const Tensor& x, int64_t layer, Decoding& run) const;
};

struct BartFeedForward : Module<BartConfig> {
  BartFeedForward(Scope place, const BartConfig& config, int64_t ffn_dim)
      : Module(std::move(place), config), inner(ffn_dim) {}
  int64_t inner;
  Linear fc1{at("fc1"), c.d_model, inner};
  Linear fc2{at("fc2"), inner, c.d_model};

  Tensor operator()(const Tensor& x) const;
};

struct BartEncoderLayer : Module<BartConfig> {
  using Module::Module;
  BartAttention self_attn{at("self_attn"), c, c.encoder_attention_heads};
  BartFeedForward feed_forward{scope, c, c.encoder_ffn_dim};

  /// [B, E, H] -> [B, E, H]; the mask may be empty.
  Tensor operator()(const Tensor& x, const Tensor& mask) const;
};

struct BartEncoder : Module<BartConfig> {
  using Module::Module;
  /// ids i64[B, E], attention_mask i64[B, E] -> [B, E, H]
  Tensor operator()(const Embedding& embed_tokens, const Tensor& ids, const Tensor& attention_mask) const;
};

struct BartDecoder : Module<BartConfig> {
  using Module::Module;
  /// -> [B, S, H], with the encoder's tokens if the run has any.
  Tensor operator()(const Embedding& embed_tokens, Decoding& run) const;
};

struct BartModel : Module<BartConfig> {
  using Module::Module;
  [[nodiscard]] Embedding encoder_tokens() const { return tokens("encoder.embed_tokens", c.vocab_size); }
  [[nodiscard]] Embedding decoder_tokens() const { return tokens("decoder.embed_tokens", c.decoder_vocab()); }
  [[nodiscard]] Tensor encode(const Inputs& in) const;  // -> [B, E, H]
  [[nodiscard]] Tensor decode(Decoding& run) const;     // -> [B, S, H]
  /// Of a text that is both the encoder's and, moved to the right by one, the decoder's: [B, S, H].
  [[nodiscard]] Tensor read_twice(const Inputs& in) const;

 private:
  [[nodiscard]] Embedding tokens(const std::string& own, int64_t count) const;
  [[nodiscard]] Tensor shifted_right(const Tensor& ids) const;
};

struct BartForConditionalGeneration : Module<BartConfig> {
  using Module::Module;
  BartModel model{at("model"), c};

  [[nodiscard]] Tensor encode(const Inputs& in) const { return model.encode(in); }
  [[nodiscard]] Tensor decode(Decoding& run) const;  // -> [B, S, vocab]
};

/// The decoder alone.
struct BartForCausalLM : Module<BartConfig> {
  using Module::Module;
  [[nodiscard]] Tensor logits(Decoding& run) const;  // -> [B, S, vocab]
  Outputs operator()(const Inputs& in) const {
    Decoding run(in);
    const Tensor scores = logits(run);
    return run.outputs("logits", scores);
  }
};

struct BartForSequenceClassification : Module<BartConfig> {
  using Module::Module;
  Outputs operator()(const Inputs& in) const;  // -> [B, labels]
};

struct BartForQuestionAnswering : Module<BartConfig> {
  using Module::Module;
  Outputs operator()(const Inputs& in) const;  // -> [B, S] twice
};

/// The row of a relative: the tasks that all have, and the classifiers where `classifies`. Class names are
/// `name` with what follows in transformers.
template <typename Config>
Architecture make(const std::string& model_type, const std::string& name, bool classifies) {
  ArchBuilder<Config> builder(model_type);
  builder.prefix("model")
      .may_be_unused({"lm_head", "final_logits_bias", "classification_head", "qa_outputs"})
      .decodes(decoder_side<BartForCausalLM>());
  add_seq2seq_tasks<BartModel, BartForConditionalGeneration>(
      builder, "model", name + "Model", name + "ForConditionalGeneration", "text2text-generation");
  builder.decoder([](const Config& c) { return c.decoder_signature(); })
      .template task<BartForCausalLM>("text-generation", name + "ForCausalLM")
      .template task<BartForCausalLM>("text-generation-with-past", name + "ForCausalLM");
  if (!classifies) return builder;
  const auto text = [](const Config& c) {
    return text_inputs({.vocab_size = c.vocab_size, .max_length = c.max_position_embeddings});
  };
  builder
      .inputs([text](const Config& c) {
        auto inputs = text(c);
        inputs[0].fill.marker = c.eos_token_id;
        return inputs;
      })
      .template task<BartForSequenceClassification>("text-classification",
                                                    name + "ForSequenceClassification");
  builder.inputs(text).template task<BartForQuestionAnswering>("question-answering",
                                                               name + "ForQuestionAnswering");
  return builder;
}

}  // namespace ferry::models::bart
