// Source: transformers 4.57.6, pipelines/zero_shot_classification.py.
#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {

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
    const auto logits = pipelines::logits_of(*model_, tokenizer_(text, encode));
    const NliLabels nli = nli_labels(*model_, logits.size());
    if (independent) {
      scores.push_back(
          pipelines::softmax(std::vector<float>{logits[nli.contradiction], logits[nli.entailment]})[1]);
    } else {
      scores.push_back(logits[nli.entailment]);
    }
  }
  if (!independent) scores = pipelines::softmax(scores);
  std::vector<Classification> out;
  for (const size_t i : pipelines::largest(scores, scores.size()))
    out.push_back({candidate_labels[i], scores[i]});
  return out;
}

namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

struct ZeroShotRunner final : Pipeline::Runner {
  ZeroShotRunner(Tokenizer tokenizer, ORTModelForSequenceClassification model)
      : pipeline(std::move(tokenizer), std::move(model)) {}
  Json run(const Json& input, const Json& given) const override {
    ZeroShotOptions options;
    std::vector<std::string> labels;
    OptionReader reader(task, given);
    reader.read("candidate_labels", labels);
    reader.read("hypothesis_template", options.hypothesis_template);
    reader.read("multi_label", options.multi_label);
    reader.check();
    if (labels.empty() && input.is_object()) labels = strings_member(task, input, "candidate_labels");
    const std::string text = input.is_object() && input.contains("sequence")
                                 ? string_member(task, input, "sequence")
                                 : text_of(task, input);
    Json out = {{"sequence", text}, {"labels", Json::array()}, {"scores", Json::array()}};
    for (const auto& result : pipeline(text, labels, options)) {
      out["labels"].push_back(result.label);
      out["scores"].push_back(result.score);
    }
    return out;
  }
  ZeroShotClassificationPipeline pipeline;
};

}  // namespace

std::shared_ptr<Pipeline::Runner> pipelines::zero_shot_classification(std::string_view folder,
                                                                      const LoadOptions& options) {
  return open_runner<ZeroShotRunner, ORTModelForSequenceClassification>(folder, options);
}

}  // namespace ferry
