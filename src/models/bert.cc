// BERT, inference graphs of all its heads (dropout is the identity: not written).
// Source: transformers 4.57.6, models/bert/modeling_bert.py; struct names are that file's, the strings in
// at("...") its checkpoint keys. Axes: B batch, S sequence, H hidden size, h heads, d head size.
#include "models/bert.h"

#include <cmath>

namespace ferry::models::bert {
using namespace nn;
namespace op = ir::op;

BertConfig::BertConfig(ConfigReader& r) {
  r.read("vocab_size", vocab_size);
  r.read("hidden_size", hidden_size);
  r.read("num_hidden_layers", num_hidden_layers);
  r.read("num_attention_heads", num_attention_heads);
  r.read("intermediate_size", intermediate_size);
  r.read_choice("hidden_act", hidden_act, activation_names());
  r.read("max_position_embeddings", max_position_embeddings);
  r.read("type_vocab_size", type_vocab_size);
  r.read("layer_norm_eps", layer_norm_eps);
  r.read_choice("position_embedding_type", position_embedding_type,
                {"absolute", "relative_key", "relative_key_query"});
  r.read("is_decoder", is_decoder);
  r.read("tie_word_embeddings", tie_word_embeddings);
  r.only("add_cross_attention", false);
  r.must_be_empty("pruned_heads");
  if (hidden_size % num_attention_heads != 0) r.fail("hidden_size", "a multiple of num_attention_heads");
  num_labels = r.num_labels();
}

struct BertEmbeddings : Module<BertConfig> {
  using Module::Module;
  Embedding word_embeddings{at("word_embeddings"), c.vocab_size, c.hidden_size};
  Embedding token_type_embeddings{at("token_type_embeddings"), c.type_vocab_size, c.hidden_size};
  LayerNorm norm{at("LayerNorm"), c.hidden_size, c.layer_norm_eps};

  Tensor operator()(const Inputs& in) const {  // ids i64[B, S] -> [B, S, H]
    const auto named = scope.named();
    const Tensor ids = in["input_ids"];
    const Tensor types = in.find("token_type_ids");
    Tensor x = word_embeddings(ids) +
               (types ? token_type_embeddings(types) : select(token_type_embeddings.weight(), 0, 0));
    scope.ignore("position_embeddings");  // In every checkpoint, used by absolute positions alone.
    if (c.position_embedding_type == "absolute") {
      const Embedding positions(at("position_embeddings"), c.max_position_embeddings, c.hidden_size);
      x = x + positions.first_rows(op::shape_of(ids, 1, 2));
    }
    return norm(x);
  }
};

// Scores of relative positions, [B, h, S, S], before scaling: q . E[l - r] and, for relative_key_query, k .
// E[l - r].
struct RelativeScores : Module<BertConfig> {
  using Module::Module;
  Embedding distance_embedding{at("distance_embedding"), 2 * c.max_position_embeddings - 1, c.head_size()};

  Tensor operator()(const Tensor& query, const Tensor& key) const {  // [B, S, H] each
    const auto named = scope.named();
    const Tensor positions = op::range(op::scalar(query.graph(), int64_t{0}), op::size_of(query, 1));
    const Tensor distance = op::unsqueeze(positions, {1}) - op::unsqueeze(positions, {0});  // [l, r]
    const Tensor embedded = distance_embedding(
        op::add(distance, static_cast<double>(c.max_position_embeddings - 1)));  // [l, r, d]
    const auto dot = [&](const Tensor& x,
                         const Tensor& table) {  // x [B, h, n, d], table [n, d, m] -> [B, h, n, m]
      return op::squeeze(op::matmul(op::unsqueeze(split_heads(x, c.num_attention_heads), {3}), table), {3});
    };
    const Tensor by_query = dot(query, op::transpose(embedded, {0, 2, 1}));
    if (c.position_embedding_type == "relative_key") return by_query;
    return by_query + op::transpose(dot(key, op::transpose(embedded, {1, 2, 0})), {0, 1, 3, 2});
  }
};

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
};

// BertSelfOutput and BertOutput in the source: one graph, only the input width differs.
struct BertOutput : Module<BertConfig> {
  BertOutput(Scope s, const BertConfig& config, int64_t in)
      : Module(std::move(s), config),
        dense(at("dense"), in, c.hidden_size),
        norm(at("LayerNorm"), c.hidden_size, c.layer_norm_eps) {}
  Linear dense;
  LayerNorm norm;

  Tensor operator()(const Tensor& x, const Tensor& residual) const {
    const auto named = scope.named();
    return norm(dense(x) + residual);
  }
};

struct BertIntermediate : Module<BertConfig> {
  using Module::Module;
  Linear dense{at("dense"), c.hidden_size, c.intermediate_size};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const Scope function = at("intermediate_act_fn");
    return activation(c.hidden_act, dense(x), &function);
  }
};

struct BertLayer : Module<BertConfig> {
  using Module::Module;
  BertSelfAttention self{at("attention.self"), c};
  BertOutput attention_output{at("attention.output"), c, c.hidden_size};
  BertIntermediate intermediate{at("intermediate"), c};
  BertOutput output{at("output"), c, c.intermediate_size};

  Tensor operator()(const Tensor& x, const Tensor& mask) const {  // [B, S, H] -> [B, S, H]
    const Tensor y = attention_output(self(x, mask), x);
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
  const Tensor mask = c.is_decoder ? causal_additive_mask(attention_mask, x.dtype())
                                   : additive_mask(attention_mask, x.dtype());
  Tensor y = x;
  for (const BertLayer& layer : layers_->layer) y = layer(y, mask);
  return y;
}

struct BertModel : Module<BertConfig> {
  using Module::Module;
  BertEmbeddings embeddings{at("embeddings"), c};
  BertEncoder encoder{at("encoder"), c};

  Tensor hidden(const Inputs& in) const {
    return encoder(embeddings(in), in["attention_mask"]);
  }  // [B, S, H]

  Tensor pooled(const Inputs& in) const {  // BertPooler: the first token's, dense, tanh: [B, H]
    const Linear dense(at("pooler.dense"), c.hidden_size, c.hidden_size);
    const Tensor first = select(hidden(in), 1, 0);
    return op::unary("Tanh", dense(first));
  }

  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

struct BertForMaskedLM : Module<BertConfig> {
  using Module::Module;
  BertModel bert{at("bert"), c};
  Scope predictions{at("cls.predictions")};
  Linear dense{predictions / "transform.dense", c.hidden_size, c.hidden_size};
  LayerNorm norm{predictions / "transform.LayerNorm", c.hidden_size, c.layer_norm_eps};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    const Scope function = predictions / "transform.transform_act_fn";
    const Tensor x = norm(activation(c.hidden_act, dense(bert.hidden(in)), &function));
    const auto named = (predictions / "decoder").named();
    const Tensor logits = c.tie_word_embeddings
                              ? bert.embeddings.word_embeddings.project(x)
                              : Linear(predictions / "decoder", c.hidden_size, c.vocab_size, false)(x);
    predictions.ignore("decoder");
    predictions.ignore("bias");
    // 4.x keeps one bias under either name; an untied checkpoint of 5.x has both and adds the decoder's.
    const bool decoder_bias =
        predictions.has("decoder.bias") && (!c.tie_word_embeddings || !predictions.has("bias"));
    return {
        {"logits", logits + predictions.parameter(decoder_bias ? "decoder.bias" : "bias", {c.vocab_size})}};
  }
};

struct BertForQuestionAnswering : Module<BertConfig> {
  using Module::Module;
  BertModel bert{at("bert"), c};
  Linear qa_outputs{at("qa_outputs"), c.hidden_size, 2};

  Outputs operator()(const Inputs& in) const {
    return span_logits(qa_outputs(bert.hidden(in)));
  }  // -> 2 x [B, S]
};

struct BertForTokenClassification : Module<BertConfig> {
  using Module::Module;
  BertModel bert{at("bert"), c};
  Linear classifier{at("classifier"), c.hidden_size, c.num_labels};

  Outputs operator()(const Inputs& in) const {
    return {{"logits", classifier(bert.hidden(in))}};
  }  // -> [B, S, labels]
};

struct BertForSequenceClassification : Module<BertConfig> {
  using Module::Module;
  BertModel bert{at("bert"), c};
  Linear classifier{at("classifier"), c.hidden_size, c.num_labels};

  Outputs operator()(const Inputs& in) const {
    return {{"logits", classifier(bert.pooled(in))}};
  }  // -> [B, labels]
};

struct BertForMultipleChoice : Module<BertConfig> {
  using Module::Module;
  BertModel bert{at("bert"), c};
  Linear classifier{at("classifier"), c.hidden_size, 1};

  Outputs operator()(const Inputs& in) const {  // [B, choices, S] -> [B, choices]
    return {{"logits", unflatten_choices(classifier(bert.pooled(flatten_choices(in))), in)}};
  }
};

Architecture arch() {
  const auto inputs = [](const BertConfig& c) {
    return text_inputs({c.vocab_size, c.type_vocab_size, c.max_position_embeddings});
  };
  const auto choices = [](const BertConfig& c) {
    return text_inputs({c.vocab_size, c.type_vocab_size, c.max_position_embeddings, true});
  };
  return ArchBuilder<BertConfig>("bert")
      .prefix("bert")
      .may_be_unused({"cls", "qa_outputs", "classifier", "bert.pooler", "*.position_ids"})
      .inputs(inputs)
      .body<BertModel>("feature-extraction", "BertModel")
      .task<BertForMaskedLM>("fill-mask", "BertForMaskedLM")
      .task<BertForQuestionAnswering>("question-answering", "BertForQuestionAnswering")
      .task<BertForSequenceClassification>("text-classification", "BertForSequenceClassification")
      .task<BertForTokenClassification>("token-classification", "BertForTokenClassification")
      .inputs(choices)
      .task<BertForMultipleChoice>("multiple-choice", "BertForMultipleChoice");
}

}  // namespace ferry::models::bert
