// Source: sentence-transformers 5.7, cross_encoder/CrossEncoder.py.
#include "ferry/pipelines.h"
#include "pipelines/registry.h"
#include "pipelines/runner.h"
#include "pipelines/scores.h"

namespace ferry {

TextRankingPipeline::TextRankingPipeline(Tokenizer tokenizer, ORTModelForSequenceClassification model)
    : tokenizer_(std::move(tokenizer)),
      model_(std::make_shared<const ORTModelForSequenceClassification>(std::move(model))) {}

std::vector<RankedDocument> TextRankingPipeline::operator()(std::string_view query,
                                                            std::span<const std::string> documents) const {
  std::vector<float> scores;
  for (const auto& document : documents) {
    EncodeOptions encode;
    encode.text_pair = document;
    encode.truncation = Truncation::longest_first;
    const auto logits = pipelines::logits_of(*model_, tokenizer_(query, encode));
    scores.push_back(logits.size() == 1 ? pipelines::sigmoid(logits)[0] : logits[0]);
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
    OptionReader(task, given).check();
    const auto documents = strings_member(task, input, "documents");
    Json out = Json::array();
    for (const auto& ranked : pipeline(string_member(task, input, "query"), documents)) {
      out.push_back(
          {{"corpus_id", ranked.index}, {"score", ranked.score}, {"text", documents[ranked.index]}});
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
