// Source: transformers 4.57.6, pipelines/feature_extraction.py; sentence-transformers 5.7 for one vector a
// sentence.
#include <algorithm>

#include "base/error.h"
#include "ferry/pipelines.h"
#include "pipelines/scores.h"

namespace ferry {

FeatureExtractionPipeline::FeatureExtractionPipeline(Tokenizer tokenizer, ORTModelForFeatureExtraction model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForFeatureExtraction>(std::move(model))) {}

HostTensor FeatureExtractionPipeline::operator()(std::span<const std::string> texts,
                                                 const FeatureExtractionOptions& options) const {
  if (texts.empty()) throw Error(ErrorCode::usage, "feature-extraction wants at least one text");
  EncodeOptions encode;
  encode.padding = Padding::longest;
  if (options.truncation) encode.truncation = Truncation::longest_first;
  const auto inputs = tokenizer_(texts, encode);
  pipelines::check_length(*model_, inputs.encodings[0].size());
  auto outputs = (*model_)(inputs);
  if (outputs.sentence_embedding && !options.token_embeddings) return std::move(*outputs.sentence_embedding);
  return std::move(outputs.last_hidden_state);
}

bool FeatureExtractionPipeline::gives_sentences() const {
  const auto names = model_->output_names();
  return std::find(names.begin(), names.end(), "sentence_embedding") != names.end();
}

}  // namespace ferry
