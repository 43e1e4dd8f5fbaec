#pragma once
// BERT's parts that other encoders share.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nn/encoder.h"
#include "nn/layers.h"

namespace ferry::models::bert {

struct BertConfig {
  BertConfig() = default;
  explicit BertConfig(nn::ConfigReader& r) { read(r); }
  void read(nn::ConfigReader& r, int64_t least_token_types = 1);

  int64_t vocab_size = 30522;
  int64_t hidden_size = 768;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t intermediate_size = 3072;
  std::string hidden_act = "gelu";
  int64_t max_position_embeddings = 512;
  int64_t type_vocab_size = 2;
  float layer_norm_eps = 1e-12f;
  std::string position_embedding_type = "absolute";
  bool is_decoder = false;
  bool add_cross_attention = false;
  bool tie_word_embeddings = true;
  int64_t num_labels = 2;

  [[nodiscard]] int64_t head_size() const { return hidden_size / num_attention_heads; }
  [[nodiscard]] nn::TextInputOptions text_inputs() const {
    return {vocab_size, type_vocab_size, max_position_embeddings};
  }
  /// As the decoder of a composite: without a cache, as Optimum exports it.
  [[nodiscard]] nn::Seq2SeqSignature decoder_side() const;
};

struct BertEmbeddings : nn::Module<BertConfig> {
  /// `width` is that of the three tables, if not the hidden size.
  BertEmbeddings(nn::Scope place, const BertConfig& config, int64_t width = 0);
  nn::Embedding word_embeddings, token_type_embeddings;
  nn::LayerNorm norm;

  /// ids i64[B, S] -> [B, S, width]. `positions` i64[B, S] tells those of absolute positions; nothing: 0, 1,
  /// 2, ...
  nn::Tensor operator()(const nn::Inputs& in,
                        const std::function<nn::Tensor(const nn::Tensor& ids)>& positions = {}) const;

 private:
  int64_t width_;
};

/// Scores of relative positions, [B, h, S, S], before scaling: q . E[l - r] and, for relative_key_query, k .
/// E[l - r].
struct RelativeScores : nn::Module<BertConfig> {
  using Module::Module;
  nn::Embedding distance_embedding{at("distance_embedding"), 2 * c.max_position_embeddings - 1,
                                   c.head_size()};

  nn::Tensor operator()(const nn::Tensor& query, const nn::Tensor& key) const;  // [B, S, H] each
};

// BertSelfOutput and BertOutput in the source: one graph, only the input width differs.
struct BertOutput : nn::Module<BertConfig> {
  BertOutput(nn::Scope place, const BertConfig& config, int64_t in);
  nn::Linear dense;
  nn::LayerNorm norm;

  nn::Tensor operator()(const nn::Tensor& x, const nn::Tensor& residual) const;
};

struct BertIntermediate : nn::Module<BertConfig> {
  using Module::Module;
  nn::Linear dense{at("dense"), c.hidden_size, c.intermediate_size};

  nn::Tensor operator()(const nn::Tensor& x) const;
};

/// The transformer layers with their mask: what RoBERTa, ELECTRA and others call with embeddings of their
/// own.
struct BertEncoder : nn::Module<BertConfig> {
  BertEncoder(nn::Scope place, const BertConfig& config);
  ~BertEncoder();
  BertEncoder(BertEncoder&&) noexcept;
  /// x [B, S, H], attention_mask i64[B, S] -> [B, S, H]
  nn::Tensor operator()(const nn::Tensor& x, const nn::Tensor& attention_mask) const;
  /// The same as a decoder: over the tokens up to each, and over the encoder's.
  nn::Tensor operator()(const nn::Tensor& x, nn::Decoding& run) const;

 private:
  [[nodiscard]] nn::Tensor through(const nn::Tensor& x, const nn::Tensor& mask, nn::Decoding* run) const;
  struct Layers;
  std::unique_ptr<Layers> layers_;
};

/// BertPooler, "pooler.dense": the first token's, dense, tanh: [B, S, H] -> [B, H].
nn::Tensor pooled_first_token(const nn::Scope& body, int64_t hidden_size, const nn::Tensor& hidden);

nn::Architecture arch();

}  // namespace ferry::models::bert
