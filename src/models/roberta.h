#pragma once
// RoBERTa's parts that its relatives share.
#include <string>

#include "models/bert.h"

namespace ferry::models::roberta {

struct RobertaConfig : bert::BertConfig {
  RobertaConfig(nn::ConfigReader& r, int64_t default_vocab_size);
  explicit RobertaConfig(nn::ConfigReader& r) : RobertaConfig(r, 50265) {}

  int64_t pad_token_id = 1;

  [[nodiscard]] nn::TextInputOptions text_inputs() const {  // Positions start after the padding's.
    return {vocab_size, std::nullopt, max_position_embeddings - pad_token_id - 1};
  }
  [[nodiscard]] nn::Seq2SeqSignature decoder_side() const {
    nn::Seq2SeqSignature out = BertConfig::decoder_side();
    out.max_length = text_inputs().max_length;
    return out;
  }
};

/// "pad_token_id", after which positions start. Errors: Error{invalid_config} if it is null or leaves no
/// position; transformers fails on such, too.
int64_t read_pad_token_id(nn::ConfigReader& r, const bert::BertConfig& c);

/// "lm_head": dense, gelu, layer_norm, then the vocabulary. x [B, S, H] -> [B, S, vocab]
nn::Tensor lm_head(const nn::Scope& place, const bert::BertConfig& c, const nn::Embedding& embeddings,
                   const nn::Tensor& x);

/// The checkpoint names of heads.
inline const std::vector<std::string> kHeads = {"lm_head", "qa_outputs", "classifier", "roberta.pooler",
                                                "*.position_ids"};

template <typename Config>
struct RobertaModel : nn::Module<Config> {
  using nn::Module<Config>::Module;
  static constexpr const char* base_model_prefix = "roberta";
  bert::BertEmbeddings embeddings{this->at("embeddings"), this->c};
  bert::BertEncoder encoder{this->at("encoder"), this->c};

  nn::Tensor hidden(const nn::Inputs& in) const {  // [B, S, H]
    return encoder(embedded(in), in["attention_mask"]);
  }
  nn::Tensor hidden(nn::Decoding& run) const { return encoder(embedded(run.inputs()), run); }
  nn::Tensor pooled(const nn::Inputs& in) const {
    return bert::pooled_first_token(this->scope, this->c.hidden_size, hidden(in));
  }

  nn::Outputs operator()(const nn::Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }

 private:
  [[nodiscard]] nn::Tensor embedded(const nn::Inputs& in) const {
    return embeddings(
        in, [&](const nn::Tensor& ids) { return nn::positions_without_padding(ids, this->c.pad_token_id); });
  }
};

template <typename Config>
struct RobertaForMaskedLM : nn::OverBody<RobertaModel<Config>> {
  using nn::OverBody<RobertaModel<Config>>::OverBody;

  nn::Outputs operator()(const nn::Inputs& in) const { return {{"logits", scores(this->body.hidden(in))}}; }
  nn::Tensor logits(nn::Decoding& run) const { return scores(this->body.hidden(run)); }

 private:
  [[nodiscard]] nn::Tensor scores(const nn::Tensor& hidden) const {  // -> [B, S, vocab]
    return lm_head(this->at("lm_head"), this->c, this->body.embeddings.word_embeddings, hidden);
  }
};

template <typename Config>
nn::Architecture roberta_arch(const std::string& model_type, const std::string& class_prefix) {
  using Body = RobertaModel<Config>;
  return nn::encoder_arch<Body, RobertaForMaskedLM<Config>, nn::FirstTokenForSequenceClassification<Body>,
                          nn::PooledForMultipleChoice<Body>>(model_type, class_prefix, kHeads)
      .decodes(nn::decoder_side<RobertaForMaskedLM<Config>>());
}

}  // namespace ferry::models::roberta
