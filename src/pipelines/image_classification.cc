// Source: transformers 4.57.6, pipelines/image_classification.py.
#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

// The function that the configuration asks for.
std::string function_for(const ORTModel& model, size_t labels) {
  const Json config = parse_json(model.config_json(), "config.json");
  const auto problem = config.find("problem_type");
  const bool several = problem != config.end() && *problem == "multi_label_classification";
  return several || labels == 1 ? "sigmoid" : "softmax";
}

struct ImageClassificationRunner final : Pipeline::Runner {
  explicit ImageClassificationRunner(ImageClassificationPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    ImageClassificationOptions options;
    OptionReader reader(task, given);
    reader.read("top_k", options.top_k);
    reader.read("function_to_apply", options.function_to_apply);
    reader.check();
    options.function_to_apply = to_lower(options.function_to_apply);
    return labels_first(pipeline(image_of(task, input), options));
  }
  ImageClassificationPipeline pipeline;
};

}  // namespace

ImageClassificationPipeline::ImageClassificationPipeline(ImageProcessor processor,
                                                         ORTModelForImageClassification model)
    : processor_(std::move(processor)),
      model_(std::make_shared<const ORTModelForImageClassification>(std::move(model))) {}

std::vector<Classification> ImageClassificationPipeline::operator()(
    const Image& image, const ImageClassificationOptions& options) const {
  const HostTensor logits = (*model_)(processor_(image)).logits.to_f32();
  const std::string function =
      options.function_to_apply.empty() ? function_for(*model_, logits.count()) : options.function_to_apply;
  const auto scores = apply_function(function, logits.as<float>());
  const auto labels = model_->labels(scores.size());
  std::vector<Classification> out;
  for (const size_t i : largest(scores, static_cast<size_t>(std::max<int64_t>(options.top_k, 0))))
    out.push_back({labels[i], scores[i]});
  return out;
}

std::shared_ptr<Pipeline::Runner> pipelines::image_classification(std::string_view folder,
                                                                  const LoadOptions& options) {
  return open_media_runner<ImageClassificationRunner, AutoImageProcessor, ORTModelForImageClassification>(
      folder, options);
}

}  // namespace ferry
