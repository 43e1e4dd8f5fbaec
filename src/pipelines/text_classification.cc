// Source: transformers 4.57.6, pipelines/text_classification.py, zero_shot_classification.py;
// sentence-transformers 5.7, cross_encoder/CrossEncoder.py.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {
using pipelines::sigmoid;
using pipelines::softmax;

std::vector<float> logits_of(const ORTModelForSequenceClassification& model, const ModelInputs& inputs) {
  const HostTensor logits = model(inputs).logits.to_f32();
  const auto values = logits.as<float>();
  return {values.begin(), values.end()};
}

std::string function_for(const ORTModel& model, size_t labels) {
  const auto config = parse_json(model.config_json(), "config.json");
  const auto found = config.find("problem_type");
  const std::string problem = found != config.end() && found->is_string() ? found->get<std::string>() : "";
  if (problem == "regression") return "none";
  if (problem == "multi_label_classification" || labels == 1) return "sigmoid";
  return "softmax";
}

std::vector<float> scores_of(const ORTModel& model, const std::vector<float>& logits, std::string function) {
  if (function.empty()) function = function_for(model, logits.size());
  if (function == "sigmoid") return sigmoid(logits);
  if (function == "softmax") return softmax(logits);
  if (function == "none") return logits;
  throw Error(ErrorCode::usage, fmt::format("function_to_apply \"{}\" is not one of sigmoid, softmax, none",
                                            printable(function)));
}

std::vector<Classification> classify(const Tokenizer& tokenizer,
                                     const ORTModelForSequenceClassification& model, std::string_view text,
                                     std::optional<std::string> pair,
                                     const TextClassificationOptions& options) {
  EncodeOptions encode;
  encode.text_pair = std::move(pair);
  if (options.truncation) encode.truncation = Truncation::longest_first;
  const auto inputs = tokenizer(text, encode);
  pipelines::check_length(model, inputs.encodings[0].size());
  const auto logits = logits_of(model, inputs);
  const auto scores = scores_of(model, logits, options.function_to_apply);
  const auto labels = model.labels(scores.size());
  std::vector<Classification> out;
  const size_t count =
      options.top_k ? static_cast<size_t>(std::max<int64_t>(*options.top_k, 0)) : scores.size();
  for (const size_t i : pipelines::largest(scores, count)) out.push_back({labels[i], scores[i]});
  return out;
}

struct NliLabels {
  size_t entailment = 0, contradiction = 0;
};

// The label whose name begins with "entail"; the last if there is none, as transformers does.
NliLabels nli_labels(const ORTModel& model, size_t count) {
  const auto names = model.labels(count);
  size_t entailment = count - 1;
  for (size_t i = 0; i < count; ++i) {
    if (starts_with(to_lower(names[i]), "entail")) {
      entailment = i;
      break;
    }
  }
  return {entailment, entailment == 0 ? count - 1 : 0};
}

std::string hypothesis(const std::string& pattern, const std::string& label) {
  const size_t place = pattern.find("{}");
  if (place == std::string::npos) {
    throw Error(ErrorCode::usage,
                fmt::format("the hypothesis_template \"{}\" has no {{}} for the label", printable(pattern)));
  }
  return pattern.substr(0, place) + label + pattern.substr(place + 2);
}

}  // namespace

TextClassificationPipeline::TextClassificationPipeline(Tokenizer tokenizer,
                                                       ORTModelForSequenceClassification model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForSequenceClassification>(std::move(model))) {}

std::vector<Classification> TextClassificationPipeline::operator()(
    std::string_view text, const TextClassificationOptions& options) const {
  return classify(tokenizer_, *model_, text, std::nullopt, options);
}

std::vector<Classification> TextClassificationPipeline::operator()(
    std::string_view text, std::string_view text_pair, const TextClassificationOptions& options) const {
  return classify(tokenizer_, *model_, text, std::string(text_pair), options);
}

ZeroShotClassificationPipeline::ZeroShotClassificationPipeline(Tokenizer tokenizer,
                                                               ORTModelForSequenceClassification model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForSequenceClassification>(std::move(model))) {}

std::vector<Classification> ZeroShotClassificationPipeline::operator()(
    std::string_view text, std::span<const std::string> candidate_labels,
    const ZeroShotOptions& options) const {
  if (candidate_labels.empty())
    throw Error(ErrorCode::usage, "zero-shot-classification wants at least one candidate label");
  const bool independent = options.multi_label || candidate_labels.size() == 1;
  std::vector<float> scores;
  for (const auto& label : candidate_labels) {
    EncodeOptions encode;
    encode.text_pair = hypothesis(options.hypothesis_template, label);
    encode.truncation = Truncation::only_first;
    const auto logits = logits_of(*model_, tokenizer_(text, encode));
    const NliLabels nli = nli_labels(*model_, logits.size());
    if (independent) {
      scores.push_back(softmax(std::vector<float>{logits[nli.contradiction], logits[nli.entailment]})[1]);
    } else {
      scores.push_back(logits[nli.entailment]);
    }
  }
  if (!independent) scores = softmax(scores);
  std::vector<Classification> out;
  for (const size_t i : pipelines::largest(scores, scores.size()))
    out.push_back({candidate_labels[i], scores[i]});
  return out;
}

TextRankingPipeline::TextRankingPipeline(Tokenizer tokenizer, ORTModelForSequenceClassification model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForSequenceClassification>(std::move(model))) {}

std::vector<RankedDocument> TextRankingPipeline::operator()(std::string_view query,
                                                            std::span<const std::string> documents) const {
  std::vector<float> scores;
  for (const auto& document : documents) {
    EncodeOptions encode;
    encode.text_pair = document;
    encode.truncation = Truncation::longest_first;
    const auto logits = logits_of(*model_, tokenizer_(query, encode));
    scores.push_back(logits.size() == 1 ? sigmoid(logits)[0] : logits[0]);
  }
  std::vector<RankedDocument> out;
  for (const size_t i : pipelines::largest(scores, scores.size())) out.push_back({i, scores[i]});
  return out;
}

}  // namespace ferry
