// Source: transformers 4.57.6, pipelines/object_detection.py and post_process_object_detection of the image
// processors.
#include <algorithm>

#include "base/error.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"
#include "pipelines/scores.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

// A query's box under one of its labels.
struct Candidate {
  size_t query = 0, label = 0;
  float score = 0;
};

// DETR's: the best label of each query, the last being "nothing".
std::vector<Candidate> best_labels(std::span<const float> logits, size_t queries, size_t labels) {
  std::vector<Candidate> out;
  for (size_t q = 0; q < queries; ++q) {
    const auto scores = softmax(logits.subspan(q * labels, labels));
    const auto best = std::max_element(scores.begin(), scores.end() - 1);
    out.push_back({q, static_cast<size_t>(best - scores.begin()), *best});
  }
  return out;
}

// Deformable DETR's and RT-DETR's: the `count` best pairs of query and label.
std::vector<Candidate> best_pairs(std::span<const float> logits, size_t labels, size_t count) {
  const auto scores = sigmoid(logits);
  std::vector<Candidate> out;
  for (const size_t i : largest(scores, count)) out.push_back({i / labels, i % labels, scores[i]});
  return out;
}

std::vector<Candidate> candidates(const std::string& processor, std::span<const float> logits, size_t queries,
                                  size_t labels) {
  if (processor == "ConditionalDetrImageProcessor" || processor == "DeformableDetrImageProcessor")
    return best_pairs(logits, labels, 100);
  if (processor == "RTDetrImageProcessor") return best_pairs(logits, labels, queries);
  if (labels < 2) throw Error(ErrorCode::usage, "the model knows no labels beside \"nothing\"");
  return best_labels(logits, queries, labels);
}

Detection detection(const Candidate& candidate, const float* box, const Image& image,
                    const std::string& label) {
  const auto width = static_cast<float>(image.width), height = static_cast<float>(image.height);
  const float half_width = 0.5f * box[2], half_height = 0.5f * box[3];
  const auto whole = [](float pixels) { return static_cast<int64_t>(std::clamp(pixels, -2e9f, 2e9f)); };
  return {candidate.score,
          label,
          whole((box[0] - half_width) * width),
          whole((box[1] - half_height) * height),
          whole((box[0] + half_width) * width),
          whole((box[1] + half_height) * height)};
}

struct ObjectDetectionRunner final : Pipeline::Runner {
  explicit ObjectDetectionRunner(ObjectDetectionPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    ObjectDetectionOptions options;
    OptionReader reader(task, given);
    reader.read("threshold", options.threshold);
    reader.check();
    Json out = Json::array();
    for (const auto& d : pipeline(image_of(task, input), options)) {
      const Json box = {{"xmin", d.xmin}, {"ymin", d.ymin}, {"xmax", d.xmax}, {"ymax", d.ymax}};
      out.push_back({{"score", d.score}, {"label", d.label}, {"box", box}});
    }
    return out;
  }
  ObjectDetectionPipeline pipeline;
};

}  // namespace

ObjectDetectionPipeline::ObjectDetectionPipeline(ImageProcessor processor, ORTModelForObjectDetection model)
    : processor_(std::move(processor)),
      model_(std::make_shared<const ORTModelForObjectDetection>(std::move(model))) {}

std::vector<Detection> ObjectDetectionPipeline::operator()(const Image& image,
                                                           const ObjectDetectionOptions& options) const {
  const auto outputs = (*model_)(processor_(image));
  const HostTensor logits = outputs.logits.to_f32(), boxes = outputs.pred_boxes.to_f32();
  if (logits.dims.size() != 3 || boxes.dims != Dims{1, logits.dims[1], 4}) {
    throw Error(ErrorCode::shape_mismatch, "the model gives logits " + logits.describe() +
                                               " and pred_boxes " + boxes.describe() +
                                               ", which are no detections of one picture");
  }
  const auto queries = static_cast<size_t>(logits.dims[1]), labels = static_cast<size_t>(logits.dims[2]);
  const auto names = model_->labels(labels);
  std::vector<Detection> out;
  for (const auto& candidate : candidates(processor_.type(), logits.as<float>(), queries, labels)) {
    if (candidate.score > options.threshold)
      out.push_back(detection(candidate, boxes.as<float>().data() + candidate.query * 4, image,
                              names[candidate.label]));
  }
  return out;
}

std::shared_ptr<Pipeline::Runner> pipelines::object_detection(std::string_view folder,
                                                              const LoadOptions& options) {
  return open_media_runner<ObjectDetectionRunner, AutoImageProcessor, ORTModelForObjectDetection>(folder,
                                                                                                  options);
}

}  // namespace ferry
