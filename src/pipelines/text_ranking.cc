// Source: sentence-transformers 5.7, cross_encoder/model.py and base/modules/transformer.py.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "ferry/pipelines.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kSigmoid = "Sigmoid";

// The value of a key that is there and not null.
const Json* value_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

// The class's name, if it is one of torch's: others are not trusted, as in the source.
std::optional<std::string> torch_class(const Json* path) {
  if (path == nullptr || !path->is_string()) return std::nullopt;
  const auto name = path->get<std::string>();
  if (!starts_with(name, "torch.")) return std::nullopt;
  const std::string last = name.substr(name.rfind('.') + 1);
  if (last != kSigmoid && last != "Identity" && last != "Tanh" && last != "ReLU") {
    throw Error(ErrorCode::unsupported,
                fmt::format("text-ranking: activation_fn \"{}\" is not implemented", printable(name, 80)))
        .with_hint("implemented: Identity, Sigmoid, Tanh, ReLU of torch.nn");
  }
  return last;
}

// Said by the folder (5.4 and later), by config.json (4.0 and later), or by its older key.
std::string activation_of(const Json& folder, const Json& config) {
  if (const auto said = torch_class(value_of(folder, "activation_fn"))) return *said;
  const Json* own = value_of(config, "sentence_transformers");
  const bool says = own != nullptr && own->contains("activation_fn");
  const Json* path =
      says ? value_of(*own, "activation_fn") : value_of(config, "sbert_ce_default_activation_function");
  return torch_class(path).value_or(kSigmoid);
}

float activated(const std::string& function, float score) {
  if (function == kSigmoid) return pipelines::sigmoid(std::span(&score, 1))[0];
  if (function == "Tanh") return std::tanh(score);
  return function == "ReLU" ? std::max(score, 0.0f) : score;
}

// The tokenizer's length, and no more than the model has positions for.
std::optional<uint64_t> most_tokens(const Tokenizer& tokenizer, const Json& config) {
  uint64_t most = tokenizer.model_max_length();
  const Json* positions = value_of(config, "max_position_embeddings");
  if (positions != nullptr && positions->is_number_integer() && positions->get<int64_t>() > 0)
    most = std::min(most, positions->get<uint64_t>());
  return most == UINT64_MAX ? std::nullopt : std::optional(most);
}

}  // namespace

TextRankingPipeline::TextRankingPipeline(Tokenizer tokenizer, ORTModelForSequenceClassification model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForSequenceClassification>(std::move(model))) {
  const fs::path file = model_->folder() / "config_sentence_transformers.json";
  const Json folder = ferry::is_regular_file(file) ? read_json(file) : Json::object();
  const Json config = parse_json(model_->config_json(), "config.json");
  activation_ = activation_of(folder, config);
  max_length_ = most_tokens(tokenizer_, config);
}

std::vector<RankedDocument> TextRankingPipeline::operator()(std::string_view query,
                                                            std::span<const std::string> documents) const {
  std::vector<float> scores;
  for (const auto& document : documents) {
    EncodeOptions encode;
    encode.text_pair = document;
    encode.truncation = Truncation::longest_first;
    encode.max_length = max_length_;
    const auto logits = pipelines::logits_of(*model_, tokenizer_(query, encode));
    if (logits.size() != 1) {
      throw Error(ErrorCode::usage,
                  fmt::format("text-ranking takes a model with one label, this one has {}", logits.size()))
          .with_hint("text-classification gives the scores of each label for a text and its text_pair");
    }
    scores.push_back(activated(activation_, logits[0]));
  }
  std::vector<RankedDocument> out;
  for (const size_t i : pipelines::largest(scores, scores.size())) out.push_back({i, scores[i]});
  return out;
}

namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

struct TextRankingRunner final : Pipeline::Runner {
  TextRankingRunner(Tokenizer tokenizer, ORTModelForSequenceClassification model)
      : pipeline(std::move(tokenizer), std::move(model)) {}
  Json run(const Json& input, const Json& given) const override {
    OptionReader reader(task, given);
    std::optional<size_t> top_k;
    bool return_documents = false;
    reader.read("top_k", top_k);
    reader.read("return_documents", return_documents);
    reader.check();
    const auto documents = strings_member(task, input, "documents");
    Json out = Json::array();
    for (const auto& ranked : pipeline(string_member(task, input, "query"), documents)) {
      if (top_k && out.size() == *top_k) break;
      Json entry = {{"corpus_id", ranked.index}, {"score", ranked.score}};
      if (return_documents) entry["text"] = documents[ranked.index];
      out.push_back(std::move(entry));
    }
    return out;
  }
  TextRankingPipeline pipeline;
};

}  // namespace

std::shared_ptr<Pipeline::Runner> pipelines::text_ranking(std::string_view folder,
                                                          const LoadOptions& options) {
  return open_runner<TextRankingRunner, ORTModelForSequenceClassification>(folder, options);
}

}  // namespace ferry
