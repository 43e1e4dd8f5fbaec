#pragma once
// From the bytes of a picture to a model's pixel_values: transformers' image processors.
//
//   auto processor = ferry::AutoImageProcessor::from_pretrained("out/");
//   auto inputs = processor(ferry::load_image("cat.jpg"));   // pixel_values f32[1, 3, 224, 224]
//
// Pixels are those of Pillow (its decoders' settings, its resampling filters and their rounding to 8 bits),
// so that a result differs from that of transformers' processors by rounding of f32 at most. Names that end
// in "Fast" are computed as their slow twins.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/host_tensor.h"

namespace ferry {

/// Tensors by the name of the model input that they are for.
using BatchFeature = std::map<std::string, HostTensor>;

/// 8 bits a channel, red, green, blue, row by row from the top left.
struct Image {
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<uint8_t> rgb;  ///< width * height * 3
};

/// Reads JPEG, PNG or WebP as transformers' load_image does: turned as its EXIF orientation asks, then made
/// RGB (alpha is dropped, palettes and CMYK are converted). Errors: Error{not_found}, Error{io},
/// Error{invalid_file} for broken or truncated bytes and for more than 178,956,970 pixels (Pillow's limit),
/// Error{unsupported} for other formats.
Image load_image(const std::filesystem::path& file);
/// The same from bytes; `what` names them in errors.
Image decode_image(std::span<const std::byte> bytes, std::string_view what);

/// The bytes of a PNG file. Errors: Error{usage} if the image is empty.
std::string encode_png(const Image& image);

/// Pillow's numbers for its filters, as preprocessor_config.json writes them.
enum class Resampling : uint8_t { nearest = 0, lanczos = 1, bilinear = 2, bicubic = 3, box = 4, hamming = 5 };

/// Image.resize of Pillow, bit for bit. Errors: Error{usage} for an empty image or size.
Image resize(const Image& image, uint32_t width, uint32_t height, Resampling filter);

/// What preprocessor_config.json says. Safe to use from several threads, cheap to copy.
class ImageProcessor {
 public:
  struct Recipe;
  explicit ImageProcessor(std::shared_ptr<const Recipe> recipe) : recipe_(std::move(recipe)) {}

  /// pixel_values f32[B, 3, H, W]; with the detectors' padding also pixel_mask i64[B, H, W], 1 where there is
  /// a picture. Errors: Error{usage} for no image, or for images that end up with different sizes.
  [[nodiscard]] BatchFeature operator()(std::span<const Image> images) const;
  [[nodiscard]] BatchFeature operator()(const Image& image) const { return (*this)({&image, 1}); }

  /// "ViTImageProcessor": the class, by its slow name.
  [[nodiscard]] const std::string& type() const;

 private:
  std::shared_ptr<const Recipe> recipe_;
};

class AutoImageProcessor {
 public:
  /// Reads preprocessor_config.json and, where that does not name its class, the model_type of config.json.
  /// Errors: Error{not_found}, Error{invalid_file}, Error{invalid_config} that names the key,
  /// Error{unsupported} for a class that is not built, with those that are.
  static ImageProcessor from_pretrained(const std::filesystem::path& folder);
  /// The same from the texts of both files; `config` may be empty.
  static ImageProcessor from_json(std::string_view preprocessor_config, std::string_view config = {});
};

}  // namespace ferry
