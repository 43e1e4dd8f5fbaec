// Source: transformers 4.57.6, pipelines/text2text_generation.py.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"

namespace ferry {
namespace {
constexpr int64_t kMaxNewTokens = 256;
constexpr int64_t kBeams = 4;

}  // namespace

// Of the folder where it says something, else the pipeline's own; then what the configuration has for the
// task.
Text2TextGenerationPipeline::Text2TextGenerationPipeline(Tokenizer tokenizer, ORTModelForSeq2SeqLM model,
                                                         const std::string& task)
    : tokenizer_(std::move(tokenizer)), model_(std::move(model)), config_(model_.generation_config()) {
  if (config_.num_beams == 1) config_.num_beams = kBeams;
  if (!config_.max_new_tokens && !config_.max_length) config_.max_new_tokens = kMaxNewTokens;
  const auto json = parse_json(model_.config_json(), "config.json");
  if (json.is_object()) {
    if (json.contains("prefix") && json.at("prefix").is_string())
      prefix_ = json.at("prefix").get<std::string>();
    const auto specific = json.find("task_specific_params");
    if (specific != json.end() && specific->is_object() && specific->contains(task)) {
      auto mine = specific->at(task);
      if (mine.contains("prefix")) {
        prefix_ = mine.at("prefix").is_string() ? mine.at("prefix").get<std::string>() : "";
        mine.erase("prefix");
      }
      static_cast<void>(config_.update(mine.dump(), "config.json"));
    }
  }
  if (!config_.pad_token_id) {
    if (const auto pad = tokenizer_.special_token_id("pad_token")) config_.pad_token_id = *pad;
  }
}

std::vector<GeneratedText> Text2TextGenerationPipeline::operator()(
    std::string_view text, const GenerationConfig& config, const Text2TextGenerationOptions& options) const {
  EncodeOptions encode;
  if (options.truncation) encode.truncation = Truncation::longest_first;
  const auto encoded = tokenizer_(prefix_ + std::string(text), encode);
  const auto& tokens = encoded.encodings[0].ids;
  const std::vector<int64_t> ids(tokens.begin(), tokens.end());
  const Dims dims = {1, static_cast<int64_t>(ids.size())};
  ModelInputs inputs;
  inputs.set("input_ids", HostTensor::i64(dims, ids));
  inputs.set("attention_mask", HostTensor::i64(dims, std::vector<int64_t>(ids.size(), 1)));
  GenerateOptions generate;
  generate.seed = options.seed;
  generate.tokenizer = &tokenizer_;
  const auto output = model_.generate(inputs, config, generate);
  const DecodeOptions decode = {true, options.clean_up_tokenization_spaces};
  std::vector<GeneratedText> out;
  for (size_t row = 0; row < output.sequences.size(); ++row)
    out.push_back({tokenizer_.decode(output.tokens(row), decode), output.sequences[row]});
  return out;
}

namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

struct Text2TextRunner final : Pipeline::Runner {
  Text2TextRunner(Tokenizer tokenizer, ORTModelForSeq2SeqLM model, const std::string& of_task,
                  const char* result)
      : pipeline(std::move(tokenizer), std::move(model), of_task), name(result) {}

  Json run(const Json& input, const Json& given) const override {
    Text2TextGenerationOptions options;
    GenerationConfig config = pipeline.generation_config();
    OptionReader reader(task, given);
    reader.read("truncation", options.truncation);
    reader.read("clean_up_tokenization_spaces", options.clean_up_tokenization_spaces);
    reader.read("seed", options.seed);
    Json rest = Json::object();
    for (const auto& [key, value] : given.items()) {
      if (!reader.knows(key)) rest[key] = value;
    }
    const auto unknown = config.update(rest.dump(), task);
    if (!unknown.empty()) refuse(task, "there is no option \"" + printable(unknown[0]) + "\"");
    Json out = Json::array();
    for (auto& result : pipeline(text_of(task, input), config, options))
      out.push_back(Json{{name, std::move(result.text)}});
    return out;
  }

  Text2TextGenerationPipeline pipeline;
  const char* name;
};

std::shared_ptr<Pipeline::Runner> open(std::string_view folder, const LoadOptions& options,
                                       const std::string& task, const char* result) {
  ORTModelForSeq2SeqLM model = ORTModelForSeq2SeqLM::from_pretrained(folder, options);
  Tokenizer tokenizer = AutoTokenizer::from_pretrained(model.folder());
  return std::make_shared<Text2TextRunner>(std::move(tokenizer), std::move(model), task, result);
}

}  // namespace

std::shared_ptr<Pipeline::Runner> pipelines::text2text_generation(std::string_view folder,
                                                                  const LoadOptions& options) {
  return open(folder, options, "text2text-generation", "generated_text");
}
std::shared_ptr<Pipeline::Runner> pipelines::summarization(std::string_view folder,
                                                           const LoadOptions& options) {
  return open(folder, options, "summarization", "summary_text");
}
std::shared_ptr<Pipeline::Runner> pipelines::translation(std::string_view folder,
                                                         const LoadOptions& options) {
  return open(folder, options, "translation", "translation_text");
}

}  // namespace ferry
