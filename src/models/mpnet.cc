// MPNet: relative positions in buckets, one table for all layers, on top of RoBERTa's absolute ones.
// Source: transformers 4.57.6, models/mpnet/modeling_mpnet.py.
#include "models/roberta.h"
#include "models/text_encoders.h"
#include "nn/relative_positions.h"

namespace ferry::models::mpnet {
using namespace nn;
namespace op = ir::op;

constexpr int64_t kPadding = 1;   // Whatever pad_token_id says.
constexpr int64_t kBuckets = 32;  // Whatever relative_attention_num_buckets says.

struct MPNetConfig : bert::BertConfig {
  explicit MPNetConfig(ConfigReader& r) {
    vocab_size = 30527;
    read(r);
    r.read("relative_attention_num_buckets", relative_attention_num_buckets, kBuckets);
    const char* key = "max_position_embeddings";
    if (max_position_embeddings < kPadding + 2) r.fail(key, "at least 3: positions start at 2");
  }
  int64_t relative_attention_num_buckets = kBuckets;

  [[nodiscard]] TextInputOptions text_inputs() const {
    return {vocab_size, std::nullopt, max_position_embeddings - kPadding - 1};
  }
};

struct MPNetSelfAttention : Module<MPNetConfig> {
  using Module::Module;
  Linear q{at("q"), c.hidden_size, c.hidden_size};
  Linear k{at("k"), c.hidden_size, c.hidden_size};
  Linear v{at("v"), c.hidden_size, c.hidden_size};
  Linear o{at("o"), c.hidden_size, c.hidden_size};

  Tensor operator()(const Tensor& x, const Tensor& mask) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    return o(op::attention(q(x), k(x), v(x), {.mask = mask, .heads = c.num_attention_heads}));
  }
};

struct MPNetLayer : Module<MPNetConfig> {
  using Module::Module;
  MPNetSelfAttention attn{at("attention.attn"), c};
  LayerNorm norm{at("attention.LayerNorm"), c.hidden_size, c.layer_norm_eps};
  bert::BertIntermediate intermediate{at("intermediate"), c};
  bert::BertOutput output{at("output"), c, c.intermediate_size};

  Tensor operator()(const Tensor& x, const Tensor& mask) const {  // [B, S, H] -> [B, S, H]
    const Tensor y = norm(attn(x, mask) + x);
    return output(intermediate(y), y);
  }
};

struct MPNetEncoder : Module<MPNetConfig> {
  using Module::Module;
  List<MPNetLayer> layer{at("layer"), c.num_hidden_layers, c};
  Embedding relative_attention_bias{at("relative_attention_bias"), c.relative_attention_num_buckets,
                                    c.num_attention_heads};

  Tensor operator()(Tensor x, const Tensor& attention_mask) const {  // [B, S, H] -> [B, S, H]
    const Tensor padding = c.is_decoder ? causal_additive_mask(attention_mask, x.dtype())
                                        : additive_mask(attention_mask, x.dtype());
    const Tensor mask = padding + position_bias(op::size_of(x, 1));
    for (const MPNetLayer& one : layer) x = one(x, mask);
    return x;
  }

 private:
  [[nodiscard]] Tensor position_bias(const Tensor& length) const {  // -> [1, h, S, S]
    const auto named = at("relative_attention_bias").named();
    const Tensor positions = op::range(op::scalar(length.graph(), int64_t{0}), length);
    const Tensor distance = op::unsqueeze(positions, {0}) - op::unsqueeze(positions, {1});  // [query, key]
    return bucketed_bias(relative_attention_bias, distance, {.buckets = kBuckets});
  }
};

struct MPNetEmbeddings : Module<MPNetConfig> {
  using Module::Module;
  Embedding word_embeddings{at("word_embeddings"), c.vocab_size, c.hidden_size};
  Embedding position_embeddings{at("position_embeddings"), c.max_position_embeddings, c.hidden_size};
  LayerNorm norm{at("LayerNorm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(const Tensor& ids) const {  // i64[B, S] -> [B, S, H]
    const auto named = scope.named();
    return norm(word_embeddings(ids) + position_embeddings(positions_without_padding(ids, kPadding)));
  }
};

struct MPNetModel : Module<MPNetConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "mpnet";
  MPNetEmbeddings embeddings{at("embeddings"), c};
  MPNetEncoder encoder{at("encoder"), c};

  Tensor hidden(const Inputs& in) const {  // [B, S, H]
    return encoder(embeddings(in["input_ids"]), in["attention_mask"]);
  }
  Tensor pooled(const Inputs& in) const { return bert::pooled_first_token(scope, c.hidden_size, hidden(in)); }

  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

struct MPNetForMaskedLM : OverBody<MPNetModel> {
  using OverBody::OverBody;

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    return {{"logits", roberta::lm_head(at("lm_head"), c, body.embeddings.word_embeddings, body.hidden(in))}};
  }
};

Architecture arch() {
  return encoder_arch<MPNetModel, MPNetForMaskedLM, FirstTokenForSequenceClassification<MPNetModel>,
                      PooledForMultipleChoice<MPNetModel>>(
      "mpnet", "MPNet", {"lm_head", "qa_outputs", "classifier", "mpnet.pooler", "*.position_ids"});
}

}  // namespace ferry::models::mpnet
