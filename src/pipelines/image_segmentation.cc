// Source: transformers 4.57.6, pipelines/image_segmentation.py, and the post_process_*_segmentation of
// SegFormer's and DETR's image processors.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "pipelines/media.h"
#include "pipelines/registry.h"
#include "pipelines/scores.h"
#include "processors/image_bytes.h"

namespace ferry {
namespace {
using namespace pipelines;  // NOLINT: what runners are written with.

struct Planes {
  std::vector<float> values;  // [channels, height, width]
  size_t channels = 0, height = 0, width = 0;
};

// For every pixel of the picture, the channel that is largest there.
std::vector<uint32_t> largest_channels(const Planes& planes, const Image& image) {
  const Upsampled upsampled(planes.values, planes.channels, planes.height, planes.width, image.height,
                            image.width);
  std::vector<uint32_t> out;
  out.reserve(size_t{image.width} * image.height);
  std::vector<float> line;
  for (size_t y = 0; y < image.height; ++y) {
    upsampled.line(y, line);
    for (size_t x = 0; x < image.width; ++x) {
      uint32_t best = 0;
      for (uint32_t c = 1; c < planes.channels; ++c) {
        if (line[c * image.width + x] > line[best * image.width + x]) best = c;
      }
      out.push_back(best);
    }
  }
  return out;
}

std::vector<uint8_t> mask_of(const std::vector<uint32_t>& map, uint32_t wanted) {
  std::vector<uint8_t> out(map.size());
  for (size_t i = 0; i < map.size(); ++i) out[i] = map[i] == wanted ? 255 : 0;
  return out;
}

// One segment a label that is seen, by its number.
std::vector<Segment> semantic_segments(const Planes& planes, const Image& image, const ORTModel& model) {
  const auto map = largest_channels(planes, image);
  const auto labels = model.labels(planes.channels);
  std::vector<bool> seen(planes.channels);
  for (const uint32_t label : map) seen[label] = true;
  std::vector<Segment> out;
  for (uint32_t label = 0; label < planes.channels; ++label) {
    if (seen[label]) out.push_back({std::nullopt, labels[label], mask_of(map, label)});
  }
  return out;
}

Planes planes_of(const HostTensor& tensor) {
  const HostTensor numbers = tensor.to_f32();
  if (numbers.dims.size() != 4 || numbers.dims[0] != 1 || numbers.count() == 0) {
    throw Error(ErrorCode::shape_mismatch,
                "the model gives " + tensor.describe() + ", which are no planes of one picture");
  }
  const auto values = numbers.as<float>();
  return {{values.begin(), values.end()},
          static_cast<size_t>(numbers.dims[1]),
          static_cast<size_t>(numbers.dims[2]),
          static_cast<size_t>(numbers.dims[3])};
}

// DETR's masks, one a query, with the probabilities of its labels; the last label is "nothing".
struct Queries {
  Planes masks;  // Probabilities.
  std::vector<std::vector<float>> labels;
};

Queries queries_of(const HostTensor& logits, const HostTensor& masks) {
  Queries out;
  out.masks = planes_of(masks);
  out.masks.values = sigmoid(out.masks.values);
  const HostTensor numbers = logits.to_f32();
  if (numbers.dims.size() != 3 || numbers.dims[0] != 1 || numbers.dims[2] < 2 ||
      static_cast<size_t>(numbers.dims[1]) != out.masks.channels) {
    throw Error(ErrorCode::shape_mismatch, "the model gives logits " + logits.describe() +
                                               " and pred_masks " + masks.describe() +
                                               ", which do not belong together");
  }
  const auto labels = static_cast<size_t>(numbers.dims[2]);
  for (size_t q = 0; q < out.masks.channels; ++q)
    out.labels.push_back(softmax(numbers.as<float>().subspan(q * labels, labels)));
  return out;
}

// The chance of each label at each pixel, over all queries.
Planes label_planes(const Queries& queries) {
  const size_t area = queries.masks.height * queries.masks.width;
  Planes out{{}, queries.labels[0].size() - 1, queries.masks.height, queries.masks.width};
  out.values.resize(out.channels * area);
  for (size_t q = 0; q < queries.labels.size(); ++q) {
    for (size_t c = 0; c < out.channels; ++c) {
      for (size_t i = 0; i < area; ++i)
        out.values[c * area + i] += queries.labels[q][c] * queries.masks.values[q * area + i];
    }
  }
  return out;
}

// The masks of queries that are sure enough of a label, weighed by how sure.
struct Kept {
  Planes masks;
  std::vector<size_t> labels;
  std::vector<float> scores;
};
Kept keep_sure(const Queries& queries, float threshold) {
  Kept out{{{}, 0, queries.masks.height, queries.masks.width}, {}, {}};
  const size_t area = out.masks.height * out.masks.width;
  for (size_t q = 0; q < queries.labels.size(); ++q) {
    const auto& labels = queries.labels[q];
    const auto best = std::max_element(labels.begin(), labels.end());
    if (best == labels.end() - 1 || !(*best > threshold)) continue;
    out.labels.push_back(static_cast<size_t>(best - labels.begin()));
    out.scores.push_back(*best);
    const auto from = queries.masks.values.begin() + static_cast<std::ptrdiff_t>(q * area);
    std::transform(from, from + static_cast<std::ptrdiff_t>(area), std::back_inserter(out.masks.values),
                   [&](float p) { return p * *best; });
    ++out.masks.channels;
  }
  return out;
}

// Pixels of each mask that reach `threshold`.
std::vector<size_t> areas(const Planes& masks, const Image& image, float threshold) {
  const Upsampled upsampled(masks.values, masks.channels, masks.height, masks.width, image.height,
                            image.width);
  std::vector<size_t> out(masks.channels);
  std::vector<float> line;
  for (size_t y = 0; y < image.height; ++y) {
    upsampled.line(y, line);
    for (size_t i = 0; i < line.size(); ++i) out[i / image.width] += line[i] >= threshold ? 1 : 0;
  }
  return out;
}

// compute_segments: each pixel belongs to the strongest mask; masks of which little is left are dropped.
std::vector<Segment> query_segments(const Queries& queries, const Image& image, const ORTModel& model,
                                    const ImageSegmentationOptions& options) {
  const Kept kept = keep_sure(queries, options.threshold);
  std::vector<Segment> out;
  if (kept.labels.empty()) return out;
  const auto map = largest_channels(kept.masks, image);
  const auto original = areas(kept.masks, image, options.mask_threshold);
  std::vector<size_t> left(kept.labels.size());
  for (const uint32_t k : map) ++left[k];
  const auto names = model.labels(queries.labels[0].size() - 1);
  for (size_t k = 0; k < kept.labels.size(); ++k) {
    if (left[k] == 0 || original[k] == 0) continue;
    if (!(static_cast<float>(left[k]) / static_cast<float>(original[k]) >
          options.overlap_mask_area_threshold))
      continue;
    const auto score = static_cast<float>(std::nearbyint(double{kept.scores[k]} * 1e6) / 1e6);
    out.push_back({score, names[kept.labels[k]], mask_of(map, static_cast<uint32_t>(k))});
  }
  return out;
}

struct ImageSegmentationRunner final : Pipeline::Runner {
  explicit ImageSegmentationRunner(ImageSegmentationPipeline made) : pipeline(std::move(made)) {}
  Json run(const Json& input, const Json& given) const override {
    ImageSegmentationOptions options;
    OptionReader reader(task, given);
    reader.read("subtask", options.subtask);
    reader.read("threshold", options.threshold);
    reader.read("mask_threshold", options.mask_threshold);
    reader.read("overlap_mask_area_threshold", options.overlap_mask_area_threshold);
    reader.check();
    const Image image = image_of(task, input);
    Json out = Json::array();
    for (const auto& segment : pipeline(image, options)) {
      const std::string png = processors::encode_grey_png(segment.mask, image.width, image.height);
      const Json score = segment.score ? Json(*segment.score) : Json(nullptr);
      out.push_back({{"score", score}, {"label", segment.label}, {"mask", base64(png)}});
    }
    return out;
  }
  ImageSegmentationPipeline pipeline;
};

}  // namespace

ImageSegmentationPipeline::ImageSegmentationPipeline(ImageProcessor processor, ORTModelForCustomTasks model)
    : processor_(std::move(processor)),
      model_(std::make_shared<const ORTModelForCustomTasks>(std::move(model))) {}

std::vector<Segment> ImageSegmentationPipeline::operator()(const Image& image,
                                                           const ImageSegmentationOptions& options) const {
  const auto& subtask = options.subtask;
  if (!subtask.empty() && subtask != "panoptic" && subtask != "instance" && subtask != "semantic") {
    throw Error(ErrorCode::usage,
                "subtask \"" + printable(subtask) + "\" is not one of panoptic, instance, semantic");
  }
  const auto outputs = (*model_)(processor_(image));
  const auto logits = outputs.find("logits"), masks = outputs.find("pred_masks");
  if (logits == outputs.end())
    throw Error(ErrorCode::usage, "the model gives no logits")
        .with_hint("it gives " + join(model_->output_names()));
  if (masks != outputs.end()) {
    const Queries queries = queries_of(logits->second, masks->second);
    return subtask == "semantic" ? semantic_segments(label_planes(queries), image, *model_)
                                 : query_segments(queries, image, *model_, options);
  }
  if (!subtask.empty() && subtask != "semantic")
    throw Error(ErrorCode::usage,
                "subtask \"" + subtask + "\" is not supported by this model: it gives no pred_masks");
  return semantic_segments(planes_of(logits->second), image, *model_);
}

std::shared_ptr<Pipeline::Runner> pipelines::image_segmentation(std::string_view folder,
                                                                const LoadOptions& options) {
  return open_media_runner<ImageSegmentationRunner, AutoImageProcessor, ORTModelForCustomTasks>(folder,
                                                                                                options);
}

}  // namespace ferry
