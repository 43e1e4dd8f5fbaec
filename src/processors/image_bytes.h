#pragma once
// The formats of pictures, each by its library.
#include <cstddef>
#include <span>
#include <string_view>

#include "ferry/image_processor.h"

namespace ferry::processors {

using Bytes = std::span<const std::byte>;

/// Errors: Error{invalid_file} if a side is 0 or the pixels are more than Pillow accepts.
void check_image_size(uint64_t width, uint64_t height, std::string_view what);

/// The orientation in a block of EXIF data ("II*\0..." or "MM\0*..."), 1 to 8; 1 if it says none.
int exif_orientation(Bytes tiff);
/// The picture as it is to be looked at.
Image oriented(Image image, int orientation);

Image decode_jpeg(Bytes bytes, std::string_view what);
Image decode_png(Bytes bytes, std::string_view what);
Image decode_webp(Bytes bytes, std::string_view what);

/// A PNG of one channel. Errors: as encode_png.
std::string encode_grey_png(std::span<const uint8_t> pixels, uint32_t width, uint32_t height);

}  // namespace ferry::processors
