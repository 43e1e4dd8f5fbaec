#pragma once
// What an image processor does, step by step: one row of a table says how each class of transformers differs.
#include <array>
#include <string>
#include <string_view>

#include "ferry/image_processor.h"
#include "processors/image_size.h"

namespace ferry {
namespace processors {

enum class ResizeRule : uint8_t {
  fixed,       ///< To height and width.
  shortest,    ///< The shorter side, or to height and width.
  convnext,    ///< Below 384 the shorter side to size / crop_pct and a crop of the middle, else to a square.
  levit,       ///< The shorter side to 256 / 224 of size.
  poolformer,  ///< By crop_pct.
  edges,       ///< DETR's shortest_edge and longest_edge.
  edges_of_16,
  divisor,  ///< Down to multiples of size_divisor.
};
enum class Padding : uint8_t { none, pixels, pixels_and_mask };

}  // namespace processors

struct ImageProcessor::Recipe {
  std::string type;
  bool do_resize = true;
  processors::ResizeRule rule = processors::ResizeRule::fixed;
  processors::SizeRule size;
  Resampling resample = Resampling::bilinear;
  double crop_pct = 0;  ///< 0: none.
  int64_t size_divisor = 0;
  bool do_center_crop = false;
  processors::Size crop_size;
  processors::Padding padding = processors::Padding::none;
  processors::Size pad_size;  ///< 0: the largest of the batch.
  /// What each value of a channel becomes: rescaling, normalization and the order of channels in one.
  std::array<std::array<float, 256>, 3> values{};
  std::array<size_t, 3> channels = {0, 1, 2};
};

namespace processors {

/// Errors: as AutoImageProcessor::from_json.
ImageProcessor::Recipe read_recipe(std::string_view preprocessor_config, std::string_view config);

}  // namespace processors
}  // namespace ferry
