#pragma once
// Exported models that look at pictures, and transformers' pipelines over them.
//
//   auto processor = ferry::AutoImageProcessor::from_pretrained("out/");
//   auto model = ferry::ORTModelForImageClassification::from_pretrained("out/");
//   auto logits = model(processor(ferry::load_image("cat.jpg"))).logits;
//
// Results of pipelines equal those of transformers 4.57.6 on the same folder. All may be called from several
// threads. Errors: those of AutoImageProcessor, AutoTokenizer and ORTModel; Error{usage} for what a pipeline
// cannot take.
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/image_processor.h"
#include "ferry/modeling.h"
#include "ferry/pipelines.h"
#include "ferry/seq2seq.h"

namespace ferry {

/// logits f32[B, labels]
class ORTModelForImageClassification : public ORTModel {
 public:
  static ORTModelForImageClassification from_pretrained(std::string_view model,
                                                        const LoadOptions& options = {});
  [[nodiscard]] LogitsOutput operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// logits f32[B, labels, H, W], smaller than the picture
class ORTModelForSemanticSegmentation : public ORTModel {
 public:
  static ORTModelForSemanticSegmentation from_pretrained(std::string_view model,
                                                         const LoadOptions& options = {});
  [[nodiscard]] LogitsOutput operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// logits f32[B, queries, labels (+ 1 for none)], pred_boxes f32[B, queries, 4]: centre, width and height as
/// parts of the picture
class ORTModelForObjectDetection : public ORTModel {
 public:
  struct Output {
    HostTensor logits, pred_boxes;
  };
  static ORTModelForObjectDetection from_pretrained(std::string_view model, const LoadOptions& options = {});
  [[nodiscard]] Output operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

/// logits_per_image f32[images, texts] and its transpose, text_embeds f32[texts, D], image_embeds f32[images,
/// D]
class ORTModelForZeroShotImageClassification : public ORTModel {
 public:
  struct Output {
    HostTensor logits_per_image, logits_per_text, text_embeds, image_embeds;
  };
  static ORTModelForZeroShotImageClassification from_pretrained(std::string_view model,
                                                                const LoadOptions& options = {});
  [[nodiscard]] Output operator()(const ModelInputs& inputs) const;

 private:
  using ORTModel::ORTModel;
};

struct ImageClassificationOptions {
  int64_t top_k = 5;
  std::string function_to_apply;  ///< "sigmoid", "softmax", "none"; "": as the configuration says.
};
class ImageClassificationPipeline {
 public:
  ImageClassificationPipeline(ImageProcessor processor, ORTModelForImageClassification model);
  /// Labels, likeliest first.
  [[nodiscard]] std::vector<Classification> operator()(const Image& image,
                                                       const ImageClassificationOptions& options = {}) const;

 private:
  ImageProcessor processor_;
  std::shared_ptr<const ORTModelForImageClassification> model_;
};

struct ImageFeatureExtractionOptions {
  bool pool = false;  ///< pooler_output in place of last_hidden_state.
};
class ImageFeatureExtractionPipeline {
 public:
  ImageFeatureExtractionPipeline(ImageProcessor processor, ORTModelForFeatureExtraction model);
  /// f32[1, patches, H], or what else the model gives; pooled f32[1, H].
  [[nodiscard]] HostTensor operator()(const Image& image,
                                      const ImageFeatureExtractionOptions& options = {}) const;

 private:
  ImageProcessor processor_;
  std::shared_ptr<const ORTModelForFeatureExtraction> model_;
};

struct Detection {
  float score = 0;
  std::string label;
  int64_t xmin = 0, ymin = 0, xmax = 0, ymax = 0;  ///< Pixels of the picture.
};
struct ObjectDetectionOptions {
  float threshold = 0.5f;
};
class ObjectDetectionPipeline {
 public:
  ObjectDetectionPipeline(ImageProcessor processor, ORTModelForObjectDetection model);
  [[nodiscard]] std::vector<Detection> operator()(const Image& image,
                                                  const ObjectDetectionOptions& options = {}) const;

 private:
  ImageProcessor processor_;
  std::shared_ptr<const ORTModelForObjectDetection> model_;
};

struct Segment {
  std::optional<float> score;  ///< Semantic segments have none.
  std::string label;
  std::vector<uint8_t> mask;  ///< 255 where the segment is, as large as the picture.
};
struct ImageSegmentationOptions {
  std::string subtask;  ///< "panoptic", "instance", "semantic"; "": the first that the model can.
  float threshold = 0.9f;
  float mask_threshold = 0.5f;
  float overlap_mask_area_threshold = 0.5f;
};
/// Models that give logits f32[1, labels, H, W] (SegFormer), or logits and pred_masks by query (DETR).
class ImageSegmentationPipeline {
 public:
  ImageSegmentationPipeline(ImageProcessor processor, ORTModelForCustomTasks model);
  [[nodiscard]] std::vector<Segment> operator()(const Image& image,
                                                const ImageSegmentationOptions& options = {}) const;

 private:
  ImageProcessor processor_;
  std::shared_ptr<const ORTModelForCustomTasks> model_;
};

struct ZeroShotImageOptions {
  std::string hypothesis_template = "This is a photo of {}.";
};
class ZeroShotImageClassificationPipeline {
 public:
  ZeroShotImageClassificationPipeline(Tokenizer tokenizer, ImageProcessor processor,
                                      ORTModelForZeroShotImageClassification model);
  /// The labels, likeliest first.
  [[nodiscard]] std::vector<Classification> operator()(const Image& image,
                                                       std::span<const std::string> candidate_labels,
                                                       const ZeroShotImageOptions& options = {}) const;

 private:
  Tokenizer tokenizer_;
  ImageProcessor processor_;
  std::shared_ptr<const ORTModelForZeroShotImageClassification> model_;
};

/// TrOCR, captions: pictures to text.
class ImageToTextPipeline {
 public:
  ImageToTextPipeline(Tokenizer tokenizer, ImageProcessor processor, ORTModelForVision2Seq model);
  /// num_return_sequences texts, best first.
  [[nodiscard]] std::vector<std::string> operator()(const Image& image, const GenerationConfig& config) const;
  [[nodiscard]] std::vector<std::string> operator()(const Image& image) const {
    return (*this)(image, default_config());
  }
  /// The model's, with at most 256 tokens where it says nothing.
  [[nodiscard]] GenerationConfig default_config() const;

 private:
  Tokenizer tokenizer_;
  ImageProcessor processor_;
  ORTModelForVision2Seq model_;
};

/// The picture with a pipeline's result drawn on it: boxes, masks, or a list of labels with their scores.
/// `result` is the JSON that Pipeline gives. Errors: Error{usage} for a result that cannot be drawn.
Image draw(const Image& image, const nlohmann::ordered_json& result);

}  // namespace ferry
