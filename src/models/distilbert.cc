// DistilBERT, inference graphs of all its heads.
// Source: transformers 4.57.6, models/distilbert/modeling_distilbert.py. Axes: B batch, S sequence, D dim.
#include "models/distilbert.h"

#include "nn/composite.h"

namespace ferry::models::distilbert {
using namespace nn;
namespace op = ir::op;

struct DistilBertConfig {
  explicit DistilBertConfig(ConfigReader& r) {
    r.read("vocab_size", vocab_size);
    r.read("max_position_embeddings", max_position_embeddings);
    r.ignore(
        "sinusoidal_pos_embds");  // Says how the table was initialized; the checkpoint holds it either way.
    r.read("n_layers", n_layers);
    r.read("num_hidden_layers", n_layers);  // attribute_map
    r.read("n_heads", n_heads);
    r.read("num_attention_heads", n_heads);
    r.read("dim", dim);
    r.read("hidden_size", dim);
    r.read("hidden_dim", hidden_dim);
    r.read_choice("activation", activation, activation_names());
    r.read("tie_word_embeddings", tie_word_embeddings);
    r.must_be_empty("pruned_heads");
    if (dim % n_heads != 0) r.fail("dim", "a multiple of n_heads");
    num_labels = r.num_labels();
  }
  int64_t vocab_size = 30522;
  int64_t max_position_embeddings = 512;
  int64_t n_layers = 6;
  int64_t n_heads = 12;
  int64_t dim = 768;
  int64_t hidden_dim = 3072;
  std::string activation = "gelu";
  bool tie_word_embeddings = true;
  int64_t num_labels = 2;
};

struct Embeddings : Module<DistilBertConfig> {
  using Module::Module;
  Embedding word_embeddings{at("word_embeddings"), c.vocab_size, c.dim};
  Embedding position_embeddings{at("position_embeddings"), c.max_position_embeddings, c.dim};
  LayerNorm norm{at("LayerNorm"), c.dim, 1e-12f};

  Tensor operator()(const Tensor& ids) const {  // i64[B, S] -> [B, S, D]
    const auto named = scope.named();
    return norm(word_embeddings(ids) + position_embeddings.first_rows(op::shape_of(ids, 1, 2)));
  }
};

struct MultiHeadSelfAttention : Module<DistilBertConfig> {
  using Module::Module;
  Linear q_lin{at("q_lin"), c.dim, c.dim};
  Linear k_lin{at("k_lin"), c.dim, c.dim};
  Linear v_lin{at("v_lin"), c.dim, c.dim};
  Linear out_lin{at("out_lin"), c.dim, c.dim};

  Tensor operator()(const Tensor& x, const Tensor& mask) const {
    const auto named = scope.named();
    return out_lin(op::attention(q_lin(x), k_lin(x), v_lin(x), {.mask = mask, .heads = c.n_heads}));
  }
};

struct FFN : Module<DistilBertConfig> {
  using Module::Module;
  Linear lin1{at("lin1"), c.dim, c.hidden_dim};
  Linear lin2{at("lin2"), c.hidden_dim, c.dim};

  Tensor operator()(const Tensor& x) const {
    const auto named = scope.named();
    const Scope function = at("activation");
    return lin2(activation(c.activation, lin1(x), &function));
  }
};

struct TransformerBlock : Module<DistilBertConfig> {
  using Module::Module;
  MultiHeadSelfAttention attention{at("attention"), c};
  LayerNorm sa_layer_norm{at("sa_layer_norm"), c.dim, 1e-12f};
  FFN ffn{at("ffn"), c};
  LayerNorm output_layer_norm{at("output_layer_norm"), c.dim, 1e-12f};

  Tensor operator()(const Tensor& x, const Tensor& mask) const {
    const auto named = scope.named();
    const Tensor y = sa_layer_norm(attention(x, mask) + x);
    return output_layer_norm(ffn(y) + y);
  }
};

struct DistilBertModel : Module<DistilBertConfig> {
  using Module::Module;
  Embeddings embeddings{at("embeddings"), c};
  List<TransformerBlock> layer{at("transformer.layer"), c.n_layers, c};

  Tensor hidden(const Inputs& in) const {  // -> [B, S, D]
    const auto named = scope.named();
    const Tensor x = embeddings(in["input_ids"]);
    const Tensor mask = additive_mask(in["attention_mask"], x.dtype());
    Tensor y = x;
    for (const TransformerBlock& block : layer) y = block(y, mask);
    return y;
  }

  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }
};

// The two-layer head of sequence classification and multiple choice, over the first token: [B, D] -> [B,
// labels].
struct ClassificationHead : Module<DistilBertConfig> {
  ClassificationHead(Scope place, const DistilBertConfig& config, int64_t labels)
      : Module(std::move(place), config),
        pre_classifier(at("pre_classifier"), c.dim, c.dim),
        classifier(at("classifier"), c.dim, labels) {}
  Linear pre_classifier, classifier;

  Tensor operator()(const Tensor& hidden) const {
    return classifier(op::unary("Relu", pre_classifier(select(hidden, 1, 0))));
  }
};

struct DistilBertForMaskedLM : Module<DistilBertConfig> {
  using Module::Module;
  DistilBertModel distilbert{at("distilbert"), c};
  Linear vocab_transform{at("vocab_transform"), c.dim, c.dim};
  LayerNorm vocab_layer_norm{at("vocab_layer_norm"), c.dim, 1e-12f};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, vocab]
    const Scope function = at("activation");
    const Tensor x =
        vocab_layer_norm(activation(c.activation, vocab_transform(distilbert.hidden(in)), &function));
    const Scope projector = at("vocab_projector");
    projector.ignore("weight");
    const Tensor logits = c.tie_word_embeddings ? distilbert.embeddings.word_embeddings.project(x)
                                                : Linear(projector, c.dim, c.vocab_size, false)(x);
    const auto named = projector.named();
    return {{"logits", logits + projector.parameter("bias", {c.vocab_size})}};
  }
};

struct DistilBertForQuestionAnswering : Module<DistilBertConfig> {
  using Module::Module;
  DistilBertModel distilbert{at("distilbert"), c};
  Linear qa_outputs{at("qa_outputs"), c.dim, 2};

  Outputs operator()(const Inputs& in) const { return span_logits(qa_outputs(distilbert.hidden(in))); }
};

struct DistilBertForTokenClassification : Module<DistilBertConfig> {
  using Module::Module;
  DistilBertModel distilbert{at("distilbert"), c};
  Linear classifier{at("classifier"), c.dim, c.num_labels};

  Outputs operator()(const Inputs& in) const { return {{"logits", classifier(distilbert.hidden(in))}}; }
};

struct DistilBertForSequenceClassification : Module<DistilBertConfig> {
  using Module::Module;
  DistilBertModel distilbert{at("distilbert"), c};
  ClassificationHead head{scope, c, c.num_labels};

  Outputs operator()(const Inputs& in) const { return {{"logits", head(distilbert.hidden(in))}}; }
};

struct DistilBertForMultipleChoice : Module<DistilBertConfig> {
  using Module::Module;
  DistilBertModel distilbert{at("distilbert"), c};
  ClassificationHead head{scope, c, 1};

  Outputs operator()(const Inputs& in) const {
    return {{"logits", unflatten_choices(head(distilbert.hidden(flatten_choices(in))), in)}};
  }
};

Architecture arch() {
  const auto inputs = [](const DistilBertConfig& c) {
    return text_inputs({c.vocab_size, std::nullopt, c.max_position_embeddings});
  };
  const auto choices = [](const DistilBertConfig& c) {
    return text_inputs({c.vocab_size, std::nullopt, c.max_position_embeddings, true});
  };
  return ArchBuilder<DistilBertConfig>("distilbert")
      .prefix("distilbert")
      .may_be_unused({"vocab_transform", "vocab_layer_norm", "vocab_projector", "qa_outputs",
                      "pre_classifier", "classifier", "*.position_ids"})
      .encodes(encoder_side<DistilBertModel>("input_ids", [](const DistilBertConfig& c) { return c.dim; }))
      .inputs(inputs)
      .body<DistilBertModel>("feature-extraction", "DistilBertModel")
      .task<DistilBertForMaskedLM>("fill-mask", "DistilBertForMaskedLM")
      .task<DistilBertForQuestionAnswering>("question-answering", "DistilBertForQuestionAnswering")
      .task<DistilBertForSequenceClassification>("text-classification", "DistilBertForSequenceClassification")
      .task<DistilBertForTokenClassification>("token-classification", "DistilBertForTokenClassification")
      .inputs(choices)
      .task<DistilBertForMultipleChoice>("multiple-choice", "DistilBertForMultipleChoice");
}

}  // namespace ferry::models::distilbert
