#include "pipelines/registry.h"

namespace ferry::pipelines {

std::span<const PipelineEntry> pipeline_table() {
  static const std::vector<PipelineEntry> table = {
      {"feature-extraction", {}, feature_extraction},
      {"fill-mask", {}, fill_mask},
      {"question-answering", {}, question_answering},
      {"text-classification", {"sentiment-analysis"}, text_classification},
      {"text-ranking", {}, text_ranking},
      {"token-classification", {"ner"}, token_classification},
      {"zero-shot-classification", {}, zero_shot_classification},
  };
  return table;
}

}  // namespace ferry::pipelines
