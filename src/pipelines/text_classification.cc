// Source: transformers 4.57.6, pipelines/text_classification.py.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {
using pipelines::sigmoid;
using pipelines::softmax;

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
  return pipelines::apply_function(function, logits);
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
  const auto logits = pipelines::logits_of(model, inputs);
  const auto scores = scores_of(model, logits, options.function_to_apply);
  const auto labels = model.labels(scores.size());
  std::vector<Classification> out;
  const size_t count =
      options.top_k ? static_cast<size_t>(std::max<int64_t>(*options.top_k, 0)) : scores.size();
  for (const size_t i : pipelines::largest(scores, count)) out.push_back({labels[i], scores[i]});
  return out;
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

namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

Json to_json(const Classification& result) {
  return {{"label", result.label}, {"score", result.score}};
}

struct TextClassificationRunner final : Pipeline::Runner {
  TextClassificationRunner(Tokenizer tokenizer, ORTModelForSequenceClassification model)
      : pipeline(std::move(tokenizer), std::move(model)) {}
  Json run(const Json& input, const Json& given) const override {
    TextClassificationOptions options;
    OptionReader reader(task, given);
    reader.read("top_k", options.top_k);
    reader.read("function_to_apply", options.function_to_apply);
    reader.read("truncation", options.truncation);
    reader.check();
    options.function_to_apply = to_lower(options.function_to_apply);
    const std::string text = text_of(task, input);
    const bool pair = input.is_object() && input.contains("text_pair");
    const auto results =
        pair ? pipeline(text, string_member(task, input, "text_pair"), options) : pipeline(text, options);
    // Without top_k transformers gives the best alone, not a list.
    if (!reader.has("top_k")) return to_json(results.at(0));
    Json out = Json::array();
    for (const auto& result : results) out.push_back(to_json(result));
    return out;
  }
  TextClassificationPipeline pipeline;
};

}  // namespace

std::shared_ptr<Pipeline::Runner> pipelines::text_classification(std::string_view folder,
                                                                 const LoadOptions& options) {
  return open_runner<TextClassificationRunner, ORTModelForSequenceClassification>(folder, options);
}

}  // namespace ferry
