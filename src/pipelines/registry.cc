#include "pipelines/registry.h"

namespace ferry::pipelines {

std::span<const PipelineEntry> pipeline_table() {
  static const std::vector<PipelineEntry> table = {
      {"audio-classification", {}, audio_classification},
      {"automatic-speech-recognition", {}, automatic_speech_recognition},
      {"feature-extraction", {}, feature_extraction},
      {"fill-mask", {}, fill_mask},
      {"image-classification", {}, image_classification},
      {"image-feature-extraction", {}, image_feature_extraction},
      {"image-segmentation", {"semantic-segmentation"}, image_segmentation},
      {"image-to-text", {}, image_to_text},
      {"object-detection", {}, object_detection},
      {"question-answering", {}, question_answering},
      {"summarization", {}, summarization},
      {"text-classification", {"sentiment-analysis"}, text_classification},
      {"text-generation", {}, text_generation},
      {"text2text-generation", {}, text2text_generation},
      {"text-ranking", {}, text_ranking},
      {"token-classification", {"ner"}, token_classification},
      {"translation", {}, translation},
      {"zero-shot-classification", {}, zero_shot_classification},
      {"zero-shot-image-classification", {}, zero_shot_image_classification},
  };
  return table;
}

}  // namespace ferry::pipelines
