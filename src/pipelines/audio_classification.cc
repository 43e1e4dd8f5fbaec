// Source: transformers 4.57.6, pipelines/audio_classification.py.
#include <algorithm>

#include "base/text.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

struct AudioClassificationRunner final : Pipeline::Runner {
  explicit AudioClassificationRunner(AudioClassificationPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    AudioClassificationOptions options;
    OptionReader reader(task, given);
    reader.read("top_k", options.top_k);
    reader.read("function_to_apply", options.function_to_apply);
    reader.check();
    return scores_first(pipeline(audio_of(task, input), options));
  }
  AudioClassificationPipeline pipeline;
};

}  // namespace

AudioClassificationPipeline::AudioClassificationPipeline(FeatureExtractor extractor,
                                                         ORTModelForAudioClassification model)
    : extractor_(std::move(extractor)),
      model_(std::make_shared<const ORTModelForAudioClassification>(std::move(model))) {}

std::vector<Classification> AudioClassificationPipeline::operator()(
    const Audio& audio, const AudioClassificationOptions& options) const {
  const auto inputs = extractor_(samples_at(audio, extractor_.sampling_rate()));
  const HostTensor logits = (*model_)(inputs).logits.to_f32();
  const auto scores = apply_function(options.function_to_apply, logits.as<float>());
  const auto labels = model_->labels(scores.size());
  const size_t count =
      options.top_k ? static_cast<size_t>(std::max<int64_t>(*options.top_k, 0)) : scores.size();
  std::vector<Classification> out;
  for (const size_t i : largest(scores, count)) out.push_back({labels[i], scores[i]});
  return out;
}

std::shared_ptr<Pipeline::Runner> pipelines::audio_classification(std::string_view folder,
                                                                  const LoadOptions& options) {
  return open_media_runner<AudioClassificationRunner, AutoFeatureExtractor, ORTModelForAudioClassification>(
      folder, options);
}

}  // namespace ferry
