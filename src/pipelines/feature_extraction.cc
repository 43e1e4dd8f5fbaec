// Source: transformers 4.57.6, pipelines/feature_extraction.py; sentence-transformers 5.7 for one vector a
// sentence.
#include <algorithm>

#include "base/error.h"
#include "ferry/pipelines.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"
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

namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

// Nested lists of a tensor's numbers from axis `axis` on.
Json nested(std::span<const float>& values, const Dims& dims, size_t axis) {
  Json out = Json::array();
  for (int64_t i = 0; i < dims[axis]; ++i) {
    if (axis + 1 < dims.size()) {
      out.push_back(nested(values, dims, axis + 1));
    } else {
      out.push_back(values.front());
      values = values.subspan(1);
    }
  }
  return out;
}

struct FeatureExtractionRunner final : Pipeline::Runner {
  FeatureExtractionRunner(Tokenizer tokenizer, ORTModelForFeatureExtraction model)
      : pipeline(std::move(tokenizer), std::move(model)) {}
  Json run(const Json& input, const Json& given) const override {
    const std::vector<std::string> texts = {text_of(task, input)};
    const HostTensor features = pipeline(texts, read_options(given)).to_f32();
    auto values = features.as<float>();
    Json out = nested(values, features.dims, 0);
    // A sentence has one vector: not a list of one.
    return features.dims.size() == 2 ? out.at(0) : out;
  }

  std::optional<std::vector<Json>> run_batch(std::span<const Json> inputs, const Json& given) const override {
    const auto options = read_options(given);
    std::vector<std::string> texts;
    for (const Json& input : inputs) {
      if (!input.is_string()) return std::nullopt;
      texts.push_back(input.get<std::string>());
    }
    if (texts.size() < 2 || options.token_embeddings || !pipeline.gives_sentences()) return std::nullopt;
    const HostTensor features = pipeline(texts, options).to_f32();
    auto values = features.as<float>();
    Json rows = nested(values, features.dims, 0);
    return std::vector<Json>(std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
  }
  FeatureExtractionPipeline pipeline;

 private:
  [[nodiscard]] FeatureExtractionOptions read_options(const Json& given) const {
    FeatureExtractionOptions options;
    OptionReader reader(task, given);
    reader.read("truncation", options.truncation);
    reader.read("token_embeddings", options.token_embeddings);
    reader.check();
    return options;
  }
};

}  // namespace

std::shared_ptr<Pipeline::Runner> pipelines::feature_extraction(std::string_view folder,
                                                                const LoadOptions& options) {
  return open_runner<FeatureExtractionRunner, ORTModelForFeatureExtraction>(folder, options);
}

}  // namespace ferry
