#pragma once
// DeBERTa's parts that its second version shares. Axes as in bert.cc; P: rows of the table of relative
// positions, twice their span.
#include <string>
#include <utility>
#include <vector>

#include "models/bert.h"

namespace ferry::models::deberta {

struct DebertaConfig : bert::BertConfig {
  DebertaConfig();
  explicit DebertaConfig(nn::ConfigReader& r) : DebertaConfig() {
    read(r);
    r.read("talking_head", talking_head);
  }
  void read(nn::ConfigReader& r);

  int64_t embedding_size = 0;
  bool position_biased_input = true;
  bool relative_attention = false;
  int64_t max_relative_positions = 512;
  bool c2p = false, p2c = false;  // pos_att_type.
  int64_t score_kinds = 1;        // As many sums as scores are taken for, by which they are scaled down.
  bool talking_head = false;
  std::string pooler_hidden_act = "gelu";
  bool legacy = true;

  [[nodiscard]] double score_scale() const;
  [[nodiscard]] nn::TextInputOptions text_inputs() const;

 private:
  void read_pos_att_type(nn::ConfigReader& r);
};

struct DebertaEmbeddings : nn::Module<DebertaConfig> {
  using Module::Module;
  nn::Embedding word_embeddings{at("word_embeddings"), c.vocab_size, c.embedding_size};
  nn::LayerNorm norm{at("LayerNorm"), c.hidden_size, c.layer_norm_eps};

  nn::Tensor operator()(const nn::Inputs& in) const;  // ids i64[B, S] -> [B, S, H]
};

/// What all layers share: the mask [B, 1, S, S], and with relative attention the table of positions [P, H]
/// and its rows i64[S, S] for a query and a key.
struct Shared {
  nn::Tensor mask, table, rows;
};

/// 0 where both the query and the key are text, else the lowest number: padding attends to all alike.
nn::Tensor pairs_mask(const nn::Tensor& attention_mask, DType dtype);  // i64[B, S] -> [B, 1, S, S]

/// The row of the table for every query and key of x [B, S, H], by their distance, query - key: rows[0] is
/// that of the distance -reach, the last one that of reach; farther ones are as these. -> i64[S, S]
nn::Tensor rows_of_pairs(const nn::Tensor& x, const std::vector<int64_t>& rows);

/// The scores that positions add, scaled: q . K[row] for c2p, k . Q[row] for p2c, with the table as keys K
/// and as queries Q, [P, H] each. q, k [B, S, H] -> [B, h, S, S], or nothing.
nn::Tensor position_scores(const DebertaConfig& c, const nn::Tensor& q, const nn::Tensor& k,
                           const nn::Tensor& keys, const nn::Tensor& queries, const nn::Tensor& rows);

template <typename SelfAttention, typename Config>
struct DebertaLayer : nn::Module<Config> {
  using nn::Module<Config>::Module;
  SelfAttention self{this->at("attention.self"), this->c};
  bert::BertOutput attention_output{this->at("attention.output"), this->c, this->c.hidden_size};
  bert::BertIntermediate intermediate{this->at("intermediate"), this->c};
  bert::BertOutput output{this->at("output"), this->c, this->c.intermediate_size};

  nn::Tensor operator()(const nn::Tensor& x, const Shared& shared) const {  // [B, S, H] -> [B, S, H]
    const nn::Tensor y = attention_output(self(x, shared), x);
    return output(intermediate(y), y);
  }
};

template <typename Encoder, typename Config>
struct DebertaModel : nn::Module<Config> {
  using nn::Module<Config>::Module;
  static constexpr const char* base_model_prefix = "deberta";
  DebertaEmbeddings embeddings{this->at("embeddings"), this->c};
  Encoder encoder{this->at("encoder"), this->c};

  nn::Tensor hidden(const nn::Inputs& in) const { return encoder(embeddings(in), in["attention_mask"]); }

  nn::Outputs operator()(const nn::Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

/// x [B, S, H] -> [B, S, vocab]. "cls.predictions", or "lm_predictions.lm_head" without legacy, whose matrix
/// is the embeddings' whatever tie_word_embeddings says.
nn::Tensor vocabulary_scores(const nn::Scope& root, const DebertaConfig& c, const nn::Embedding& embeddings,
                             const nn::Tensor& x);
/// ContextPooler: the first token's, dense, pooler_hidden_act: [B, S, H] -> [B, H].
nn::Tensor context_pooled(const nn::Scope& root, const DebertaConfig& c, const nn::Tensor& hidden);

/// The checkpoint names of heads.
inline const std::vector<std::string> kHeads = {
    "cls", "lm_predictions", "mask_predictions", "qa_outputs", "classifier", "pooler", "*.position_ids"};

template <typename Body>
struct DebertaForMaskedLM : nn::OverBody<Body> {
  using nn::OverBody<Body>::OverBody;

  nn::Outputs operator()(const nn::Inputs& in) const {  // -> [B, S, vocab]
    const auto& embeddings = this->body.embeddings.word_embeddings;
    return {{"logits", vocabulary_scores(this->scope, this->c, embeddings, this->body.hidden(in))}};
  }
};

/// ContextPooler and a classifier over it: [B, S, H] -> [B, labels].
template <typename Body>
struct ContextClassifier : nn::OverBody<Body> {
  using Config = typename Body::ConfigType;
  ContextClassifier(nn::Scope place, const Config& config, int64_t labels)
      : nn::OverBody<Body>(std::move(place), config),
        classifier(this->at("classifier"), config.hidden_size, labels) {}
  nn::Linear classifier;

  nn::Tensor logits(const nn::Inputs& in) const {
    return classifier(context_pooled(this->scope, this->c, this->body.hidden(in)));
  }
};

template <typename Body>
struct DebertaForSequenceClassification : ContextClassifier<Body> {
  using Config = typename Body::ConfigType;
  DebertaForSequenceClassification(nn::Scope place, const Config& config)
      : ContextClassifier<Body>(std::move(place), config, config.num_labels) {}

  nn::Outputs operator()(const nn::Inputs& in) const { return {{"logits", this->logits(in)}}; }
};

}  // namespace ferry::models::deberta
