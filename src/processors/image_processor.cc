#include "ferry/image_processor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "processors/image_recipe.h"
#include "processors/preprocessor_config.h"

namespace ferry {
namespace processors {
namespace {
using Recipe = ImageProcessor::Recipe;

Size size_of(const Image& image) {
  return {image.height, image.width};
}

// Python's int(side / fraction).
int64_t divided(int64_t side, double fraction) {
  return static_cast<int64_t>(static_cast<double>(side) / fraction);
}

Size target_size(Size image, const Recipe& recipe) {
  const SizeRule& size = recipe.size;
  const Size exact = {size.height, size.width};
  switch (recipe.rule) {
    case ResizeRule::fixed:
      return exact;
    case ResizeRule::shortest:
      return size.shortest_edge > 0 ? by_shortest_edge(image, size.shortest_edge) : exact;
    case ResizeRule::convnext:
      return size.shortest_edge < 384 ? by_shortest_edge(image, divided(size.shortest_edge, recipe.crop_pct))
                                      : Size{size.shortest_edge, size.shortest_edge};
    case ResizeRule::levit:
      return size.shortest_edge > 0
                 ? by_shortest_edge(
                       image, static_cast<int64_t>(256.0 / 224 * static_cast<double>(size.shortest_edge)))
                 : exact;
    case ResizeRule::poolformer:
      if (recipe.crop_pct == 0)
        return size.shortest_edge > 0 ? by_shortest_edge(image, size.shortest_edge) : exact;
      if (size.shortest_edge > 0 || size.height == size.width) {
        return by_shortest_edge(
            image, divided(size.shortest_edge > 0 ? size.shortest_edge : size.height, recipe.crop_pct));
      }
      return {divided(size.height, recipe.crop_pct), divided(size.width, recipe.crop_pct)};
    case ResizeRule::edges:
    case ResizeRule::edges_of_16:
      if (size.shortest_edge > 0 && size.longest_edge > 0) {
        return recipe.rule == ResizeRule::edges
                   ? by_edges(image, size.shortest_edge, size.longest_edge)
                   : by_edges_of_16(image, size.shortest_edge, size.longest_edge);
      }
      return size.max_height > 0 && size.max_width > 0 ? within(image, size.max_height, size.max_width)
                                                       : exact;
    case ResizeRule::divisor:
      return {image.height / recipe.size_divisor * recipe.size_divisor,
              image.width / recipe.size_divisor * recipe.size_divisor};
  }
  return exact;
}

// The middle, with black around a picture that is smaller (center_crop of image_transforms.py).
Image center_crop(const Image& image, Size size) {
  const Size from = size_of(image);
  // Where the crop begins in the picture; negative where there is black.
  const auto begin = [](int64_t have, int64_t want) {
    return have >= want ? (have - want) / 2 : -((want - have + 1) / 2);
  };
  const int64_t top = begin(from.height, size.height), left = begin(from.width, size.width);
  Image out;
  out.width = static_cast<uint32_t>(size.width);
  out.height = static_cast<uint32_t>(size.height);
  out.rgb.resize(static_cast<size_t>(size.width * size.height) * 3);
  const int64_t first = std::max<int64_t>(left, 0), last = std::min(left + size.width, from.width);
  for (int64_t y = std::max<int64_t>(0, -top); y < size.height && y + top < from.height; ++y) {
    std::memcpy(&out.rgb[static_cast<size_t>((y * size.width + first - left) * 3)],
                &image.rgb[static_cast<size_t>(((y + top) * from.width + first) * 3)],
                static_cast<size_t>(last - first) * 3);
  }
  return out;
}

Image resized(const Image& image, const Recipe& recipe) {
  const Size size = target_size(size_of(image), recipe);
  if (size.height < 1 || size.width < 1 || size.height > (1 << 18) || size.width > (1 << 18)) {
    throw Error(ErrorCode::usage,
                fmt::format("{}: an image of {} x {} pixels cannot be resized to {} x {}", recipe.type,
                            image.width, image.height, size.width, size.height));
  }
  return resize(image, static_cast<uint32_t>(size.width), static_cast<uint32_t>(size.height),
                recipe.resample);
}

Image prepared(const Image& image, const Recipe& recipe) {
  Image out = recipe.do_resize ? resized(image, recipe) : image;
  const bool crops_itself =
      recipe.do_resize && recipe.rule == ResizeRule::convnext && recipe.size.shortest_edge < 384;
  if (crops_itself) return center_crop(out, {recipe.size.shortest_edge, recipe.size.shortest_edge});
  return recipe.do_center_crop ? center_crop(out, recipe.crop_size) : out;
}

// Into the top left of planes of `size`.
void write_planes(const Image& image, const Recipe& recipe, Size size, float* to) {
  for (size_t c = 0; c < 3; ++c) {
    const auto& values = recipe.values[recipe.channels[c]];
    float* plane = to + c * static_cast<size_t>(size.height * size.width);
    for (size_t y = 0; y < image.height; ++y) {
      const uint8_t* from = &image.rgb[y * image.width * 3 + recipe.channels[c]];
      float* line = plane + y * static_cast<size_t>(size.width);
      for (size_t x = 0; x < image.width; ++x) line[x] = values[from[x * 3]];
    }
  }
}

HostTensor pixel_mask(const std::vector<Image>& images, Size size) {
  auto out = HostTensor::zeros(DType::i64, {static_cast<int64_t>(images.size()), size.height, size.width});
  int64_t* at = out.as<int64_t>().data();
  for (const auto& image : images) {
    for (size_t y = 0; y < image.height; ++y)
      std::fill_n(at + y * static_cast<size_t>(size.width), image.width, 1);
    at += size.height * size.width;
  }
  return out;
}

Size common_size(const std::vector<Image>& images, const Recipe& recipe) {
  Size out = recipe.pad_size;
  const bool padded = recipe.padding != Padding::none;
  if (out.height == 0) {
    for (const auto& image : images) {
      out.height = std::max<int64_t>(out.height, image.height);
      out.width = std::max<int64_t>(out.width, image.width);
    }
  }
  constexpr int64_t kMostPixels = 178'956'970;
  if (out.height * out.width > kMostPixels) {
    throw Error(ErrorCode::usage, fmt::format("{}: a batch of {} x {} pixels an image is too large",
                                              recipe.type, out.width, out.height));
  }
  for (const auto& image : images) {
    const Size size = size_of(image);
    if (padded ? size.height <= out.height && size.width <= out.width
               : size.height == out.height && size.width == out.width)
      continue;
    throw Error(ErrorCode::usage,
                fmt::format("{}: an image of {} x {} pixels {} {} x {}", recipe.type, size.width, size.height,
                            padded ? "does not fit the padding to" : "is in one batch with one of", out.width,
                            out.height));
  }
  return out;
}

}  // namespace
}  // namespace processors

BatchFeature ImageProcessor::operator()(std::span<const Image> images) const {
  using namespace processors;
  if (images.empty()) throw Error(ErrorCode::usage, recipe_->type + ": there is no image");
  std::vector<Image> all;
  for (const auto& image : images) {
    if (image.rgb.empty() || image.rgb.size() != size_t{image.width} * image.height * 3)
      throw Error(ErrorCode::usage, recipe_->type + ": an image is empty");
    all.push_back(prepared(image, *recipe_));
  }
  const Size size = common_size(all, *recipe_);
  auto pixels = HostTensor::zeros(DType::f32, {static_cast<int64_t>(all.size()), 3, size.height, size.width});
  const size_t volume = static_cast<size_t>(size.height * size.width) * 3;
  for (size_t i = 0; i < all.size(); ++i)
    write_planes(all[i], *recipe_, size, pixels.as<float>().data() + i * volume);
  BatchFeature out;
  out.emplace("pixel_values", std::move(pixels));
  if (recipe_->padding == Padding::pixels_and_mask) out.emplace("pixel_mask", pixel_mask(all, size));
  return out;
}

const std::string& ImageProcessor::type() const {
  return recipe_->type;
}

ImageProcessor AutoImageProcessor::from_json(std::string_view preprocessor_config, std::string_view config) {
  return ImageProcessor(
      std::make_shared<const ImageProcessor::Recipe>(processors::read_recipe(preprocessor_config, config)));
}

ImageProcessor AutoImageProcessor::from_pretrained(const std::filesystem::path& folder) {
  const auto config = processors::read_preprocessor_config(folder);
  return from_json(config.preprocessor, config.model);
}

}  // namespace ferry
