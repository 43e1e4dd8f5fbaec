#pragma once
// Every pipeline by name. A new one is a file of its own, a line here and a row in registry.cc.
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "ferry/pipelines.h"

namespace ferry::pipelines {

using Maker = std::shared_ptr<Pipeline::Runner> (*)(std::string_view model, const LoadOptions& options);

std::shared_ptr<Pipeline::Runner> audio_classification(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> automatic_speech_recognition(std::string_view model,
                                                               const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> image_classification(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> image_feature_extraction(std::string_view model,
                                                           const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> image_segmentation(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> image_to_text(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> object_detection(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> zero_shot_image_classification(std::string_view model,
                                                                 const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> feature_extraction(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> fill_mask(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> question_answering(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> summarization(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> text2text_generation(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> text_classification(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> text_generation(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> text_ranking(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> token_classification(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> translation(std::string_view model, const LoadOptions& options);
std::shared_ptr<Pipeline::Runner> zero_shot_classification(std::string_view model,
                                                           const LoadOptions& options);

struct PipelineEntry {
  std::string_view task;
  std::vector<std::string_view> synonyms;  ///< transformers' other names that the task table lacks.
  Maker make;
};
/// Sorted by task.
std::span<const PipelineEntry> pipeline_table();

}  // namespace ferry::pipelines
