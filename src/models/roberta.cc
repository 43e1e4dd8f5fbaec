// RoBERTa: BERT with positions that leave padding out, no token types as an input, and heads of its own.
// XLM-RoBERTa and CamemBERT are the same under other names.
// Source: transformers 4.57.6, models/roberta/modeling_roberta.py, models/xlm_roberta/, models/camembert/.
#include "models/roberta.h"

#include <algorithm>

#include "models/text_encoders.h"

namespace ferry::models {
using namespace nn;

namespace roberta {

RobertaConfig::RobertaConfig(ConfigReader& r, int64_t default_vocab_size) {
  vocab_size = default_vocab_size;
  read(r);
  pad_token_id = read_pad_token_id(r, *this);
}

int64_t read_pad_token_id(ConfigReader& r, const bert::BertConfig& c) {
  std::optional<int64_t> pad = 1;
  const char* key = "pad_token_id";
  r.read_nullable(key, pad, 0, std::min(c.vocab_size, c.max_position_embeddings) - 1);
  if (!pad) r.fail(key, "a token: positions leave it out");
  if (c.max_position_embeddings < *pad + 2) {
    r.fail("max_position_embeddings", "a number above pad_token_id + 1: positions start there");
  }
  return *pad;
}

Tensor lm_head(const Scope& place, const bert::BertConfig& c, const Embedding& embeddings, const Tensor& x) {
  const Linear dense(place / "dense", c.hidden_size, c.hidden_size);
  const LayerNorm norm(place / "layer_norm", c.hidden_size, c.layer_norm_eps);
  return vocabulary_logits(place, embeddings, c.tie_word_embeddings, c.vocab_size, c.hidden_size,
                           norm(activation("gelu", dense(x))));
}

Architecture arch() {
  return roberta_arch<RobertaConfig>("roberta", "Roberta");
}

}  // namespace roberta

// Both leave the size of the vocabulary at BERT's where config.json is silent.
struct XLMRobertaConfig : roberta::RobertaConfig {
  explicit XLMRobertaConfig(ConfigReader& r) : RobertaConfig(r, 30522) {}
};

Architecture xlm_roberta::arch() {
  return roberta::roberta_arch<XLMRobertaConfig>("xlm-roberta", "XLMRoberta");
}

Architecture camembert::arch() {
  return roberta::roberta_arch<XLMRobertaConfig>("camembert", "Camembert");
}

}  // namespace ferry::models
