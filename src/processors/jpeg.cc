#include <fmt/format.h>
#include <turbojpeg.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "processors/image_bytes.h"

namespace ferry::processors {
namespace {

struct Close {
  void operator()(void* handle) const { tjDestroy(handle); }
};
using Decoder = std::unique_ptr<void, Close>;

[[noreturn]] void refuse(std::string_view what, std::string_view why) {
  throw Error(ErrorCode::invalid_file, fmt::format("{}: broken JPEG: {}", what, printable(why)));
}

// Walks the segments before the first scan.
int orientation_of(Bytes bytes) {
  const auto byte = [&](size_t at) { return std::to_integer<size_t>(bytes[at]); };
  constexpr size_t kApp1 = 0xE1, kStartOfScan = 0xDA;
  for (size_t at = 2; at + 4 <= bytes.size() && byte(at) == 0xFF;) {
    const size_t marker = byte(at + 1);
    if (marker == 0xFF) {  // A fill byte.
      ++at;
      continue;
    }
    const size_t length = byte(at + 2) << 8 | byte(at + 3);
    if (marker == kStartOfScan || length < 2 || at + 2 + length > bytes.size()) break;
    const Bytes body = bytes.subspan(at + 4, length - 2);
    if (marker == kApp1 && body.size() > 6 && std::memcmp(body.data(), "Exif\0\0", 6) == 0)
      return exif_orientation(body.subspan(6));
    at += 2 + length;
  }
  return 1;
}

// Pillow takes all four-channel JPEGs for Adobe's, whose inks are stored inverted.
void cmyk_to_rgb(const std::vector<uint8_t>& cmyk, std::vector<uint8_t>& rgb) {
  const auto scaled = [](unsigned a, unsigned b) {  // a * b / 255, rounded.
    const unsigned product = a * b + 128;
    return ((product >> 8) + product) >> 8;
  };
  uint8_t* to = rgb.data();
  for (size_t i = 0; i < cmyk.size(); i += 4) {
    const unsigned light = cmyk[i + 3];
    for (size_t c = 0; c < 3; ++c) {
      const unsigned ink = 255u - cmyk[i + c];
      *to++ = static_cast<uint8_t>(light - scaled(ink, light));
    }
  }
}

}  // namespace

Image decode_jpeg(Bytes bytes, std::string_view what) {
  const Decoder decoder(tjInitDecompress());
  if (!decoder) throw Error(ErrorCode::io, "cannot start the JPEG decoder");
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());  // NOLINT: turbojpeg's type.
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (tjDecompressHeader3(decoder.get(), data, size, &width, &height, &subsampling, &colours) != 0 &&
      tjGetErrorCode(decoder.get()) != TJERR_WARNING) {
    refuse(what, tjGetErrorStr2(decoder.get()));
  }
  check_image_size(static_cast<uint64_t>(std::max(width, 0)), static_cast<uint64_t>(std::max(height, 0)),
                   what);
  Image out;
  out.width = static_cast<uint32_t>(width);
  out.height = static_cast<uint32_t>(height);
  const uint64_t pixels = uint64_t{out.width} * out.height;
  // A block of up to 16 x 16 pixels takes a bit at least.
  if (pixels / (256 * 8) > bytes.size()) refuse(what, "it ends too early for its size");
  const bool inks = colours == TJCS_CMYK || colours == TJCS_YCCK;
  std::vector<uint8_t> cmyk(inks ? pixels * 4 : 0);
  out.rgb.resize(pixels * 3);
  // Pillow's settings: the accurate transform, smooth upsampling of colours.
  const int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
  if (tjDecompress2(decoder.get(), data, size, inks ? cmyk.data() : out.rgb.data(), width, 0, height,
                    inks ? TJPF_CMYK : TJPF_RGB, flags) != 0) {
    const std::string_view message = tjGetErrorStr2(decoder.get());
    // Other warnings are of data that decodes, if not well; Pillow takes it.
    if (tjGetErrorCode(decoder.get()) != TJERR_WARNING || message.find("Premature end") != message.npos)
      refuse(what, message);
  }
  if (inks) cmyk_to_rgb(cmyk, out.rgb);
  return oriented(std::move(out), orientation_of(bytes));
}

}  // namespace ferry::processors
