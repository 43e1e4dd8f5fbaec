// BERT, inference graphs of all its heads (dropout is the identity: not written).
// Source: transformers 4.57.6, models/bert/modeling_bert.py; struct names are that file's, the strings in
// at("...") its checkpoint keys. Axes: B batch, S sequence, H hidden size, h heads, d head size.
#include "models/bert.h"

#include <cmath>

namespace ferry::models::bert {
using namespace nn;
namespace op = ir::op;

void BertConfig::read(ConfigReader& r, int64_t least_token_types) {
  r.read("vocab_size", vocab_size);
  r.read("hidden_size", hidden_size);
  r.read("num_hidden_layers", num_hidden_layers);
  r.read("num_attention_heads", num_attention_heads);
  r.read("intermediate_size", intermediate_size);
  r.read_choice("hidden_act", hidden_act, activation_names());
  r.read("max_position_embeddings", max_position_embeddings);
  r.read("type_vocab_size", type_vocab_size, least_token_types);
  r.read("layer_norm_eps", layer_norm_eps);
  r.read_choice("position_embedding_type", position_embedding_type,
                {"absolute", "relative_key", "relative_key_query"});
  r.read("is_decoder", is_decoder);
  r.read("tie_word_embeddings", tie_word_embeddings);
  r.read("add_cross_attention", add_cross_attention);
  if (add_cross_attention && !is_decoder) r.fail("is_decoder", "true, as add_cross_attention is");
  r.must_be_empty("pruned_heads");
  if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
  num_labels = r.num_labels();
}

Seq2SeqSignature BertConfig::decoder_side() const {
  require_cross_attention(add_cross_attention, "add_cross_attention");
  return {.encoder = {},
          .encoder_size = hidden_size,
          .vocab_size = vocab_size,
          .layers = num_hidden_layers,
          .heads = num_attention_heads,
          .head_dim = head_size(),
          .max_length = text_inputs().max_length,
          .cache = Cache::none};
}

BertEmbeddings::BertEmbeddings(Scope place, const BertConfig& config, int64_t width)
    : Module(std::move(place), config),
      word_embeddings(at("word_embeddings"), c.vocab_size, width == 0 ? c.hidden_size : width),
      token_type_embeddings(at("token_type_embeddings"), c.type_vocab_size,
                            width == 0 ? c.hidden_size : width),
      norm(at("LayerNorm"), width == 0 ? c.hidden_size : width, c.layer_norm_eps),
      width_(width == 0 ? c.hidden_size : width) {}

Tensor BertEmbeddings::operator()(const Inputs& in,
                                  const std::function<Tensor(const Tensor& ids)>& positions) const {
  const auto named = scope.named();
  const Tensor ids = in["input_ids"];
  const Tensor types = in.find("token_type_ids");
  Tensor x = word_embeddings(ids) +
             (types ? token_type_embeddings(types) : select(token_type_embeddings.weight(), 0, 0));
  scope.ignore("position_embeddings");  // In every checkpoint, used by absolute positions alone.
  if (c.position_embedding_type == "absolute") {
    const Embedding table(at("position_embeddings"), c.max_position_embeddings, width_);
    x = x + (positions ? table(positions(ids)) : table.first_rows(op::shape_of(ids, 1, 2)));
  }
  return norm(x);
}

Tensor RelativeScores::operator()(const Tensor& query, const Tensor& key) const {
  const auto named = scope.named();
  const Tensor positions = op::range(op::scalar(query.graph(), int64_t{0}), op::size_of(query, 1));
  const Tensor distance = op::unsqueeze(positions, {1}) - op::unsqueeze(positions, {0});  // [l, r]
  const Tensor embedded =
      distance_embedding(op::add(distance, static_cast<double>(c.max_position_embeddings - 1)));  // [l, r, d]
  const auto dot = [&](const Tensor& x,
                       const Tensor& table) {  // x [B, h, n, d], table [n, d, m] -> [B, h, n, m]
    return op::squeeze(op::matmul(op::unsqueeze(split_heads(x, c.num_attention_heads), {3}), table), {3});
  };
  const Tensor by_query = dot(query, op::transpose(embedded, {0, 2, 1}));
  if (c.position_embedding_type == "relative_key") return by_query;
  return by_query + op::transpose(dot(key, op::transpose(embedded, {1, 2, 0})), {0, 1, 3, 2});
}

struct BertSelfAttention : Module<BertConfig> {
  using Module::Module;
  Linear query{at("query"), c.hidden_size, c.hidden_size};
  Linear key{at("key"), c.hidden_size, c.hidden_size};
  Linear value{at("value"), c.hidden_size, c.hidden_size};

  Tensor operator()(const Tensor& x, Tensor mask) const {  // [B, S, H] -> [B, S, H]
    const auto named = scope.named();
    const Tensor q = query(x), k = key(x);
    if (c.position_embedding_type != "absolute") {
      mask = mask + RelativeScores(scope, c)(q, k) * (1 / std::sqrt(static_cast<double>(c.head_size())));
    }
    return op::attention(q, k, value(x), {.mask = mask, .heads = c.num_attention_heads});
  }
  [[nodiscard]] Tensor over_encoder(const Tensor& x, int64_t layer, Decoding& run) const {
    const auto named = scope.named();
    const auto heads = [this](const Linear& part) {
      return [this, &part](const Tensor& t) { return split_heads(part(t), c.num_attention_heads); };
    };
    return run.attend_encoder(layer, heads(query)(x), heads(key), heads(value));
  }
};

BertOutput::BertOutput(Scope place, const BertConfig& config, int64_t in)
    : Module(std::move(place), config),
      dense(at("dense"), in, c.hidden_size),
      norm(at("LayerNorm"), c.hidden_size, c.layer_norm_eps) {}

Tensor BertOutput::operator()(const Tensor& x, const Tensor& residual) const {
  const auto named = scope.named();
  return norm(dense(x) + residual);
}

Tensor BertIntermediate::operator()(const Tensor& x) const {
  const auto named = scope.named();
  const Scope function = at("intermediate_act_fn");
  return activation(c.hidden_act, dense(x), &function);
}

struct BertLayer : LayerModule<BertConfig> {
  using LayerModule::LayerModule;
  BertSelfAttention self{at("attention.self"), c};
  BertOutput attention_output{at("attention.output"), c, c.hidden_size};
  BertIntermediate intermediate{at("intermediate"), c};
  BertOutput output{at("output"), c, c.intermediate_size};

  // [B, S, H] -> [B, S, H]; `run` is that of a decoder.
  Tensor operator()(const Tensor& x, const Tensor& mask, Decoding* run) const {
    Tensor y = attention_output(self(x, mask), x);
    if (run != nullptr) {
      const BertSelfAttention cross(at("crossattention.self"), c);
      y = BertOutput(at("crossattention.output"), c, c.hidden_size)(cross.over_encoder(y, layer_idx, *run),
                                                                    y);
    } else if (c.add_cross_attention) {
      scope.ignore("crossattention");  // There is no encoder to attend to.
    }
    return output(intermediate(y), y);
  }
};

struct BertEncoder::Layers {
  List<BertLayer> layer;
};

BertEncoder::BertEncoder(Scope place, const BertConfig& config)
    : Module(std::move(place), config),
      layers_(new Layers{List<BertLayer>(at("layer"), c.num_hidden_layers, c)}) {}
BertEncoder::~BertEncoder() = default;
BertEncoder::BertEncoder(BertEncoder&&) noexcept = default;

Tensor BertEncoder::operator()(const Tensor& x, const Tensor& attention_mask) const {
  const auto named = scope.named();
  return through(x,
                 c.is_decoder ? causal_additive_mask(attention_mask, x.dtype())
                              : additive_mask(attention_mask, x.dtype()),
                 nullptr);
}

Tensor BertEncoder::operator()(const Tensor& x, Decoding& run) const {
  return through(x, run.additive_mask(x.dtype()), &run);
}

Tensor BertEncoder::through(const Tensor& x, const Tensor& mask, Decoding* run) const {
  const auto named = scope.named();
  Tensor y = x;
  for (const BertLayer& layer : layers_->layer) y = layer(y, mask, run);
  return y;
}

Tensor pooled_first_token(const Scope& body, int64_t hidden_size, const Tensor& hidden) {
  const Linear dense(body / "pooler.dense", hidden_size, hidden_size);
  return op::unary("Tanh", dense(select(hidden, 1, 0)));
}

struct BertModel : Module<BertConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "bert";
  BertEmbeddings embeddings{at("embeddings"), c};
  BertEncoder encoder{at("encoder"), c};

  Tensor hidden(const Inputs& in) const {
    return encoder(embeddings(in), in["attention_mask"]);
  }  // [B, S, H]
  Tensor hidden(Decoding& run) const { return encoder(embeddings(run.inputs()), run); }
  Tensor pooled(const Inputs& in) const { return pooled_first_token(scope, c.hidden_size, hidden(in)); }

  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

struct BertForMaskedLM : OverBody<BertModel> {
  using OverBody::OverBody;
  Scope predictions{at("cls.predictions")};
  Linear dense{predictions / "transform.dense", c.hidden_size, c.hidden_size};
  LayerNorm norm{predictions / "transform.LayerNorm", c.hidden_size, c.layer_norm_eps};

  Outputs operator()(const Inputs& in) const { return {{"logits", scores(body.hidden(in))}}; }
  Tensor logits(Decoding& run) const { return scores(body.hidden(run)); }

 private:
  [[nodiscard]] Tensor scores(const Tensor& hidden) const {  // -> [B, S, vocab]
    const Scope function = predictions / "transform.transform_act_fn";
    const Tensor x = norm(activation(c.hidden_act, dense(hidden), &function));
    return vocabulary_logits(predictions, body.embeddings.word_embeddings, c.tie_word_embeddings,
                             c.vocab_size, c.hidden_size, x);
  }
};

Architecture arch() {
  return encoder_arch<BertModel, BertForMaskedLM, PooledForSequenceClassification<BertModel>,
                      PooledForMultipleChoice<BertModel>>(
             "bert", "Bert", {"cls", "qa_outputs", "classifier", "bert.pooler", "*.position_ids"})
      .decodes(decoder_side<BertForMaskedLM>());
}

}  // namespace ferry::models::bert
