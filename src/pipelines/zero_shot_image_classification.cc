// Source: transformers 4.57.6, pipelines/zero_shot_image_classification.py.
#include <fmt/format.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

std::vector<std::string> sentences(const std::string& pattern, std::span<const std::string> labels) {
  const size_t place = pattern.find("{}");
  if (place == std::string::npos) {
    throw Error(ErrorCode::usage,
                fmt::format("the hypothesis_template \"{}\" has no {{}} for the label", printable(pattern)));
  }
  std::vector<std::string> out;
  for (const auto& label : labels)
    out.push_back(pattern.substr(0, place) + label + pattern.substr(place + 2));
  return out;
}

// SigLIP looks at each label alone, and was trained on texts of 64 tokens.
bool is_siglip(const ORTModel& model) {
  const Json config = parse_json(model.config_json(), "config.json");
  const auto type = config.find("model_type");
  return type != config.end() && type->is_string() &&
         type->get<std::string>().find("siglip") != std::string::npos;
}

struct ZeroShotImageClassificationRunner final : Pipeline::Runner {
  explicit ZeroShotImageClassificationRunner(ZeroShotImageClassificationPipeline made)
      : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    ZeroShotImageOptions options;
    std::vector<std::string> labels;
    OptionReader reader(task, given);
    reader.read("candidate_labels", labels);
    reader.read("hypothesis_template", options.hypothesis_template);
    reader.check();
    if (labels.empty() && input.is_object()) labels = strings_member(task, input, "candidate_labels");
    return scores_first(pipeline(image_of(task, input), labels, options));
  }
  ZeroShotImageClassificationPipeline pipeline;
};

}  // namespace

ZeroShotImageClassificationPipeline::ZeroShotImageClassificationPipeline(
    Tokenizer tokenizer, ImageProcessor processor, ORTModelForZeroShotImageClassification model)
    : tokenizer_(std::move(tokenizer)),
      processor_(std::move(processor)),
      model_(std::make_shared<const ORTModelForZeroShotImageClassification>(std::move(model))) {}

std::vector<Classification> ZeroShotImageClassificationPipeline::operator()(
    const Image& image, std::span<const std::string> candidate_labels,
    const ZeroShotImageOptions& options) const {
  if (candidate_labels.empty())
    throw Error(ErrorCode::usage, "zero-shot-image-classification wants at least one candidate label");
  const bool siglip = is_siglip(*model_);
  EncodeOptions encode;
  encode.padding = siglip ? Padding::max_length : Padding::longest;
  if (siglip) {
    encode.max_length = 64;
    encode.truncation = Truncation::longest_first;
  }
  ModelInputs inputs(tokenizer_(sentences(options.hypothesis_template, candidate_labels), encode));
  for (auto& [name, tensor] : processor_(image)) inputs.set(name, std::move(tensor));
  const HostTensor logits = (*model_)(inputs).logits_per_image.to_f32();
  if (logits.count() != candidate_labels.size()) {
    throw Error(ErrorCode::shape_mismatch, fmt::format("the model gives logits_per_image {} for {} labels",
                                                       logits.describe(), candidate_labels.size()));
  }
  const auto scores = apply_function(siglip ? "sigmoid" : "softmax", logits.as<float>());
  std::vector<Classification> out;
  for (const size_t i : largest(scores, scores.size())) out.push_back({candidate_labels[i], scores[i]});
  return out;
}

std::shared_ptr<Pipeline::Runner> pipelines::zero_shot_image_classification(std::string_view folder,
                                                                            const LoadOptions& options) {
  auto model = ORTModelForZeroShotImageClassification::from_pretrained(folder, options);
  auto processor = AutoImageProcessor::from_pretrained(model.folder());
  Tokenizer tokenizer = AutoTokenizer::from_pretrained(model.folder());
  return std::make_shared<ZeroShotImageClassificationRunner>(
      ZeroShotImageClassificationPipeline(std::move(tokenizer), std::move(processor), std::move(model)));
}

}  // namespace ferry
