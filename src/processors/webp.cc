#include <fmt/format.h>
#include <webp/decode.h>

#include <cstring>

#include "base/error.h"
#include "processors/image_bytes.h"

namespace ferry::processors {
namespace {

// The EXIF chunk of the RIFF container.
int orientation_of(Bytes bytes) {
  const auto byte = [&](size_t at) { return std::to_integer<size_t>(bytes[at]); };
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const size_t length = byte(at + 4) | byte(at + 5) << 8 | byte(at + 6) << 16 | byte(at + 7) << 24;
    if (length > bytes.size() - at - 8) break;
    Bytes body = bytes.subspan(at + 8, length);
    if (std::memcmp(bytes.data() + at, "EXIF", 4) == 0) {
      if (body.size() > 6 && std::memcmp(body.data(), "Exif\0\0", 6) == 0) body = body.subspan(6);
      return exif_orientation(body);
    }
    at += 8 + length + (length & 1);
  }
  return 1;
}

}  // namespace

Image decode_webp(Bytes bytes, std::string_view what) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK)
    throw Error(ErrorCode::invalid_file, fmt::format("{}: broken WebP", what));
  if (features.has_animation != 0)
    throw Error(ErrorCode::unsupported,
                fmt::format("{} is an animated WebP: only still ones are read", what));
  check_image_size(static_cast<uint64_t>(features.width), static_cast<uint64_t>(features.height), what);
  Image out;
  out.width = static_cast<uint32_t>(features.width);
  out.height = static_cast<uint32_t>(features.height);
  out.rgb.resize(size_t{out.width} * out.height * 3);
  if (WebPDecodeRGBInto(data, bytes.size(), out.rgb.data(), out.rgb.size(),
                        static_cast<int>(out.width) * 3) == nullptr) {
    throw Error(ErrorCode::invalid_file, fmt::format("{}: broken WebP, or it ends too early", what));
  }
  return oriented(std::move(out), orientation_of(bytes));
}

}  // namespace ferry::processors
