// ELECTRA: BERT with embeddings of a width of their own, and heads of its own.
// Source: transformers 4.57.6, models/electra/modeling_electra.py.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "models/bert.h"
#include "models/text_encoders.h"

namespace ferry::models::electra {
using namespace nn;
namespace op = ir::op;

struct ElectraConfig : bert::BertConfig {
  explicit ElectraConfig(ConfigReader& r) {
    hidden_size = 256;
    num_attention_heads = 4;
    intermediate_size = 1024;
    read(r);
    r.read("embedding_size", embedding_size);
    r.read_choice("summary_type", summary_type, {"first", "last", "mean", "cls_index", "attn"});
    r.read("summary_use_proj", summary_use_proj);
    bool proj_to_labels = false;
    r.read("summary_proj_to_labels", proj_to_labels);
    if (proj_to_labels) summary_size = num_labels;
    const char* function = "summary_activation";
    if (r.json().contains(function) && !r.has(function)) summary_activation = "linear";  // null: none.
    r.read_choice(function, summary_activation, activation_names());
    r.ignore("summary_last_dropout");
    r.ignore("summary_first_dropout");
  }
  int64_t embedding_size = 128;
  std::string summary_type = "first";
  bool summary_use_proj = true;
  std::optional<int64_t> summary_size;  // Of the projection, if not the hidden size.
  std::string summary_activation = "gelu";
};

struct ElectraModel : Module<ElectraConfig> {
  using Module::Module;
  static constexpr const char* base_model_prefix = "electra";
  bert::BertEmbeddings embeddings{at("embeddings"), c, c.embedding_size};
  bert::BertEncoder encoder{at("encoder"), c};

  Tensor hidden(const Inputs& in) const { return encoder(embedded(in), in["attention_mask"]); }  // [B, S, H]
  Tensor hidden(Decoding& run) const { return encoder(embedded(run.inputs()), run); }

  Outputs operator()(const Inputs& in) const { return {{"last_hidden_state", hidden(in)}}; }

 private:
  [[nodiscard]] Tensor embedded(const Inputs& in) const {
    const Tensor x = embeddings(in);
    if (c.embedding_size == c.hidden_size) return x;
    return Linear(at("embeddings_project"), c.embedding_size, c.hidden_size)(x);
  }
};

struct ElectraForMaskedLM : OverBody<ElectraModel> {
  using OverBody::OverBody;
  Linear dense{at("generator_predictions.dense"), c.hidden_size, c.embedding_size};
  LayerNorm norm{at("generator_predictions.LayerNorm"), c.embedding_size, c.layer_norm_eps};

  Outputs operator()(const Inputs& in) const { return {{"logits", scores(body.hidden(in))}}; }
  Tensor logits(Decoding& run) const { return scores(body.hidden(run)); }

 private:
  [[nodiscard]] Tensor scores(const Tensor& hidden) const {  // -> [B, S, vocab]
    const Tensor x = norm(activation("gelu", dense(hidden)));
    const Scope head = at("generator_lm_head");
    head.ignore("weight");
    const Tensor out = c.tie_word_embeddings ? body.embeddings.word_embeddings.project(x)
                                             : Linear(head, c.embedding_size, c.vocab_size, false)(x);
    const auto named = head.named();
    return out + head.parameter("bias", {c.vocab_size});
  }
};

struct ElectraForSequenceClassification : OverBody<ElectraModel> {
  using OverBody::OverBody;
  ClassificationHead classifier{at("classifier"), c.hidden_size, c.num_labels, "gelu"};

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    return {{"logits", classifier(body.hidden(in))}};
  }
};

// One vector of a text: [B, S, H] -> [B, H].
struct ElectraSequenceSummary : Module<ElectraConfig> {
  ElectraSequenceSummary(Scope place, const ElectraConfig& config) : Module(std::move(place), config) {
    // As in the source, which has these two for the summaries of other models.
    if (c.summary_type == "attn")
      throw Error(ErrorCode::unsupported, "summary_type \"attn\" is not implemented");
    if (c.summary_use_proj && c.summary_size.value_or(c.hidden_size) != c.hidden_size)
      throw Error(ErrorCode::invalid_config,
                  "summary_proj_to_labels gives the classifier another width than hidden_size");
  }

  Tensor operator()(const Tensor& hidden) const {
    const auto named = scope.named();
    Tensor x = chosen(hidden);
    if (c.summary_use_proj) x = Linear(at("summary"), c.hidden_size, c.hidden_size)(x);
    const Scope function = at("activation");
    return activation(c.summary_activation, x, &function);
  }

 private:
  [[nodiscard]] Tensor chosen(const Tensor& hidden) const {
    if (c.summary_type == "first") return select(hidden, 1, 0);
    if (c.summary_type == "mean") return op::reduce("ReduceMean", hidden, {1}, false);
    return select(hidden, 1, -1);  // "last", and "cls_index" without an index.
  }
};

struct ElectraForMultipleChoice : OverBody<ElectraModel> {
  using OverBody::OverBody;
  ElectraSequenceSummary summary{at("sequence_summary"), c};
  Linear classifier{at("classifier"), c.hidden_size, 1};

  Outputs operator()(const Inputs& in) const {  // [B, choices, S] -> [B, choices]
    const Tensor hidden = body.hidden(flatten_choices(in));
    return {{"logits", unflatten_choices(classifier(summary(hidden)), in)}};
  }
};

Architecture arch() {
  return encoder_arch<ElectraModel, ElectraForMaskedLM, ElectraForSequenceClassification,
                      ElectraForMultipleChoice>(
             "electra", "Electra",
             {"generator_predictions", "generator_lm_head", "discriminator_predictions", "qa_outputs",
              "classifier", "sequence_summary", "*.position_ids"})
      .decodes(decoder_side<ElectraForMaskedLM>());
}

}  // namespace ferry::models::electra
