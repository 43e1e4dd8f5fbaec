// Source: transformers 4.57.6, pipelines/image_feature_extraction.py.
#include "base/error.h"
#include "base/text.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

struct ImageFeatureExtractionRunner final : Pipeline::Runner {
  explicit ImageFeatureExtractionRunner(ImageFeatureExtractionPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    ImageFeatureExtractionOptions options;
    OptionReader reader(task, given);
    reader.read("pool", options.pool);
    reader.check();
    return nested_lists(pipeline(image_of(task, input), options));
  }
  ImageFeatureExtractionPipeline pipeline;
};

}  // namespace

ImageFeatureExtractionPipeline::ImageFeatureExtractionPipeline(ImageProcessor processor,
                                                               ORTModelForFeatureExtraction model)
    : processor_(std::move(processor)),
      model_(std::make_shared<const ORTModelForFeatureExtraction>(std::move(model))) {}

HostTensor ImageFeatureExtractionPipeline::operator()(const Image& image,
                                                      const ImageFeatureExtractionOptions& options) const {
  auto outputs = model_->run(processor_(image));
  const auto found = outputs.find(options.pool ? "pooler_output" : "last_hidden_state");
  if (found != outputs.end()) return std::move(found->second);
  throw Error(ErrorCode::usage,
              options.pool ? "the model gives no pooler_output" : "the model gives no last_hidden_state")
      .with_hint("it gives " + join(model_->output_names()));
}

std::shared_ptr<Pipeline::Runner> pipelines::image_feature_extraction(std::string_view folder,
                                                                      const LoadOptions& options) {
  return open_media_runner<ImageFeatureExtractionRunner, AutoImageProcessor, ORTModelForFeatureExtraction>(
      folder, options);
}

}  // namespace ferry
