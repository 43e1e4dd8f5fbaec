#pragma once
// The heads that text encoders share. A body is a Module with `base_model_prefix`, hidden(inputs) ->
// [B, S, H] and, where a head asks for it, pooled(inputs) -> [B, H]; its configuration has hidden_size,
// num_labels and tie_word_embeddings.
#include <string>

#include "nn/composite.h"
#include "nn/layers.h"

namespace ferry::nn {

/// Positions that count the tokens of a row that are not padding, from pad + 1 on; padding has position pad.
/// Source: transformers 4.57.6 modeling_roberta.py create_position_ids_from_input_ids.
Tensor positions_without_padding(const Tensor& input_ids, int64_t pad_token_id);  // i64[B, S] -> i64[B, S]

/// Scores of the vocabulary: x times the input embeddings if they are tied, else "<place>.decoder.weight",
/// and a bias, "<place>.bias" or "<place>.decoder.bias".
Tensor vocabulary_logits(const Scope& place, const Embedding& embeddings, bool tied, int64_t vocab_size,
                         int64_t width, const Tensor& x);

/// Two layers over the first token, "dense" and "out_proj": hidden [B, S, H] -> [B, labels].
class ClassificationHead {
 public:
  ClassificationHead(const Scope& scope, int64_t hidden_size, int64_t labels, std::string function);
  Tensor operator()(const Tensor& hidden) const;

 private:
  Scope scope_;
  Linear dense_, out_proj_;
  std::string function_;
};

/// Base of the heads: the body at its prefix.
template <typename Body>
struct OverBody : Module<typename Body::ConfigType> {
  using Module<typename Body::ConfigType>::Module;
  Body body{this->at(Body::base_model_prefix), this->c};
};

template <typename Body>
struct EncoderForQuestionAnswering : OverBody<Body> {
  using OverBody<Body>::OverBody;
  Linear qa_outputs{this->at("qa_outputs"), this->c.hidden_size, 2};

  Outputs operator()(const Inputs& in) const {  // -> 2 x [B, S]
    return span_logits(qa_outputs(this->body.hidden(in)));
  }
};

template <typename Body>
struct EncoderForTokenClassification : OverBody<Body> {
  using OverBody<Body>::OverBody;
  Linear classifier{this->at("classifier"), this->c.hidden_size, this->c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, S, labels]
    return {{"logits", classifier(this->body.hidden(in))}};
  }
};

/// One layer over the pooled text.
template <typename Body>
struct PooledForSequenceClassification : OverBody<Body> {
  using OverBody<Body>::OverBody;
  Linear classifier{this->at("classifier"), this->c.hidden_size, this->c.num_labels};

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    return {{"logits", classifier(this->body.pooled(in))}};
  }
};

/// Two layers over the first token, with tanh between them.
template <typename Body>
struct FirstTokenForSequenceClassification : OverBody<Body> {
  using OverBody<Body>::OverBody;
  ClassificationHead classifier{this->at("classifier"), this->c.hidden_size, this->c.num_labels, "tanh"};

  Outputs operator()(const Inputs& in) const {  // -> [B, labels]
    return {{"logits", classifier(this->body.hidden(in))}};
  }
};

template <typename Body>
struct PooledForMultipleChoice : OverBody<Body> {
  using OverBody<Body>::OverBody;
  Linear classifier{this->at("classifier"), this->c.hidden_size, 1};

  Outputs operator()(const Inputs& in) const {  // [B, choices, S] -> [B, choices]
    return {{"logits", unflatten_choices(classifier(this->body.pooled(flatten_choices(in))), in)}};
  }
};

/// The five tasks of a text encoder whose inputs are [batch_size, sequence_length]. `class_prefix` is how
/// transformers' classes start: "Roberta". `Config` has text_inputs(), what the inputs depend on.
template <typename Body, typename MaskedLM, typename SequenceClassification,
          typename TokenClassification = EncoderForTokenClassification<Body>,
          typename QuestionAnswering = EncoderForQuestionAnswering<Body>,
          typename Config = typename Body::ConfigType>
ArchBuilder<Config> text_tasks(const std::string& model_type, const std::string& class_prefix,
                               std::vector<std::string> may_be_unused) {
  ArchBuilder<Config> builder(model_type);
  builder.prefix(Body::base_model_prefix)
      .may_be_unused(std::move(may_be_unused))
      .encodes(encoder_side<Body>("input_ids"))
      .inputs([](const Config& c) { return text_inputs(c.text_inputs()); })
      .template body<Body>("feature-extraction", class_prefix + "Model")
      .template task<MaskedLM>("fill-mask", class_prefix + "ForMaskedLM")
      .template task<QuestionAnswering>("question-answering", class_prefix + "ForQuestionAnswering")
      .template task<SequenceClassification>("text-classification",
                                             class_prefix + "ForSequenceClassification")
      .template task<TokenClassification>("token-classification", class_prefix + "ForTokenClassification");
  return builder;
}

/// These and multiple-choice.
template <typename Body, typename MaskedLM, typename SequenceClassification, typename MultipleChoice,
          typename Config = typename Body::ConfigType>
ArchBuilder<Config> encoder_arch(const std::string& model_type, const std::string& class_prefix,
                                 std::vector<std::string> may_be_unused) {
  auto builder =
      text_tasks<Body, MaskedLM, SequenceClassification>(model_type, class_prefix, std::move(may_be_unused));
  builder
      .inputs([](const Config& c) {
        TextInputOptions options = c.text_inputs();
        options.choices = true;
        return text_inputs(options);
      })
      .template task<MultipleChoice>("multiple-choice", class_prefix + "ForMultipleChoice");
  return builder;
}

}  // namespace ferry::nn
