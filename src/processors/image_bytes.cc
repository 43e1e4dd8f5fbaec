#include "processors/image_bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ferry {
namespace processors {
namespace {

constexpr uint64_t kMostPixels = 178'956'970;  // Twice Pillow's MAX_IMAGE_PIXELS, where it raises.
constexpr uint64_t kLongest = 1 << 18;         // Of a side: bounds the tables that resizing needs.

bool begins_with(Bytes bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

// Integers of a TIFF structure in its own byte order; 0 past the end.
class Tiff {
 public:
  explicit Tiff(Bytes bytes) : bytes_(bytes), big_(begins_with(bytes, "MM")) {}
  [[nodiscard]] uint32_t number(uint64_t at, size_t width) const {
    if (at + width > bytes_.size()) return 0;
    uint32_t out = 0;
    for (size_t i = 0; i < width; ++i) {
      const size_t from = big_ ? i : width - 1 - i;
      out = out << 8 | std::to_integer<uint32_t>(bytes_[at + from]);
    }
    return out;
  }

 private:
  Bytes bytes_;
  bool big_;
};

std::string_view other_format(Bytes bytes) {
  if (begins_with(bytes, "GIF8")) return "GIF";
  if (begins_with(bytes, "BM")) return "BMP";
  if (begins_with(bytes, "II*") || begins_with(bytes, std::string_view("MM\0*", 4))) return "TIFF";
  if (bytes.size() > 12 && std::memcmp(bytes.data() + 4, "ftyp", 4) == 0) return "AVIF or HEIF";
  return {};
}

}  // namespace

void check_image_size(uint64_t width, uint64_t height, std::string_view what) {
  const auto pixels = checked_mul(width, height);
  if (width == 0 || height == 0 || !pixels || *pixels > kMostPixels || std::max(width, height) > kLongest) {
    throw Error(ErrorCode::invalid_file,
                fmt::format("{}: an image of {} x {} pixels; at most {} are read, and {} on a side", what,
                            width, height, kMostPixels, kLongest));
  }
}

int exif_orientation(Bytes tiff) {
  if (!begins_with(tiff, "II") && !begins_with(tiff, "MM")) return 1;
  const Tiff reader(tiff);
  const uint64_t folder = reader.number(4, 4);
  const uint32_t entries = reader.number(folder, 2);
  for (uint64_t i = 0; i < entries; ++i) {
    const uint64_t at = folder + 2 + 12 * i;
    if (at + 12 > tiff.size()) break;
    constexpr uint32_t kOrientation = 0x0112, kShort = 3;
    if (reader.number(at, 2) != kOrientation || reader.number(at + 2, 2) != kShort) continue;
    const uint32_t value = reader.number(at + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image oriented(Image image, int orientation) {
  if (orientation <= 1) return image;
  const bool turned = orientation >= 5;
  // Whether the source is read from its right, and from its bottom.
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image out;
  out.width = turned ? image.height : image.width;
  out.height = turned ? image.width : image.height;
  out.rgb.resize(image.rgb.size());
  uint8_t* to = out.rgb.data();
  for (size_t y = 0; y < out.height; ++y) {
    for (size_t x = 0; x < out.width; ++x, to += 3) {
      size_t from_x = turned ? y : x;
      size_t from_y = turned ? x : y;
      if (from_right) from_x = image.width - 1 - from_x;
      if (from_bottom) from_y = image.height - 1 - from_y;
      std::memcpy(to, &image.rgb[(from_y * image.width + from_x) * 3], 3);
    }
  }
  return out;
}

}  // namespace processors

Image decode_image(std::span<const std::byte> bytes, std::string_view what) {
  using namespace processors;
  const std::string name = printable(what);
  if (begins_with(bytes, "\xFF\xD8\xFF")) return decode_jpeg(bytes, name);
  if (begins_with(bytes, "\x89PNG\r\n\x1A\n")) return decode_png(bytes, name);
  if (begins_with(bytes, "RIFF") && bytes.size() >= 12 && std::memcmp(bytes.data() + 8, "WEBP", 4) == 0)
    return decode_webp(bytes, name);
  if (const auto format = other_format(bytes); !format.empty()) {
    throw Error(ErrorCode::unsupported, fmt::format("{} is {}: JPEG, PNG and WebP are read", name, format));
  }
  throw Error(ErrorCode::invalid_file, fmt::format("{} is no image: JPEG, PNG and WebP are read", name));
}

Image load_image(const std::filesystem::path& file) {
  const auto mapped = MappedFile::open(file);
  return decode_image(mapped->bytes(), file.filename().string());
}

}  // namespace ferry
