// libpng reports errors by longjmp: the functions that it jumps out of hold nothing that needs a destructor.
#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "processors/image_bytes.h"

namespace ferry {
namespace processors {
namespace {

struct Source {
  Bytes bytes;
  size_t at = 0;
  char error[160] = "";
};

extern "C" void png_source_read(png_structp png, png_bytep to, size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->bytes.size() - source->at) png_error(png, "it ends too early");
  std::memcpy(to, source->bytes.data() + source->at, count);
  source->at += count;
}

extern "C" [[noreturn]] void png_source_error(png_structp png, png_const_charp message) {
  auto* source = static_cast<Source*>(png_get_error_ptr(png));
  std::strncpy(source->error, message, sizeof source->error - 1);
  png_longjmp(png, 1);
}

extern "C" void png_source_warning(png_structp, png_const_charp) {}

extern "C" void png_sink_write(png_structp png, png_bytep from, size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(from), count);
}
extern "C" void png_sink_flush(png_structp) {}

class Reader {
 public:
  explicit Reader(Source& source)
      : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, png_source_error, png_source_warning)),
        info(png != nullptr ? png_create_info_struct(png) : nullptr) {
    if (info != nullptr) {
      png_set_read_fn(png, &source, png_source_read);
      png_set_chunk_malloc_max(png, 8u << 20);
      png_set_chunk_cache_max(png, 128);
    }
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  png_structp png;
  png_infop info;
};

bool read_info(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_info(png, info);
  return true;
}

// Asks for 8-bit RGB as Pillow's convert("RGB") gives it; grey of 16 bits stays as it is.
bool choose_format(png_structp png, png_infop info, bool wide_grey) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  if (wide_grey) {
    png_set_swap(png);
  } else {
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    png_set_gray_to_rgb(png);
  }
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

bool read_rows(png_structp png, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_image(png, rows);
  return true;
}

// What comes after the pixels; may hold the orientation, and may be missing.
void read_end(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png)) == 0) png_read_end(png, info);
}

int orientation_of(png_structp png, png_infop info) {
  png_uint_32 size = 0;
  png_bytep data = nullptr;
  if (png_get_eXIf_1(png, info, &size, &data) == 0 || data == nullptr) return 1;
  return exif_orientation({reinterpret_cast<const std::byte*>(data), size});
}

std::vector<png_bytep> row_pointers(uint8_t* pixels, size_t height, size_t row_bytes) {
  std::vector<png_bytep> out(height);
  for (size_t y = 0; y < height; ++y) out[y] = pixels + y * row_bytes;
  return out;
}

}  // namespace

Image decode_png(Bytes bytes, std::string_view what) {
  Source source{bytes};
  Reader reader(source);
  if (reader.info == nullptr) throw Error(ErrorCode::io, "cannot start the PNG decoder");
  const auto refuse = [&](std::string_view why) {
    throw Error(ErrorCode::invalid_file, fmt::format("{}: broken PNG: {}", what, printable(why)));
  };
  png_structp png = reader.png;
  if (!read_info(png, reader.info)) refuse(source.error);
  Image out;
  out.width = png_get_image_width(png, reader.info);
  out.height = png_get_image_height(png, reader.info);
  check_image_size(out.width, out.height, what);
  // Deflate makes at most 1032 bytes of one.
  if (png_get_rowbytes(png, reader.info) * out.height / 1032 > bytes.size())
    refuse("it ends too early for its size");
  const bool wide_grey = png_get_color_type(png, reader.info) == PNG_COLOR_TYPE_GRAY &&
                         png_get_bit_depth(png, reader.info) == 16;
  if (!choose_format(png, reader.info, wide_grey)) refuse(source.error);
  const size_t pixels = size_t{out.width} * out.height;
  out.rgb.resize(pixels * 3);
  std::vector<uint16_t> grey(wide_grey ? pixels : 0);
  auto* to = wide_grey ? reinterpret_cast<uint8_t*>(grey.data()) : out.rgb.data();
  const size_t row_bytes = size_t{out.width} * (wide_grey ? 2 : 3);
  if (png_get_rowbytes(png, reader.info) != row_bytes) refuse("its rows have an unexpected length");
  auto rows = row_pointers(to, out.height, row_bytes);
  if (!read_rows(png, rows.data())) refuse(source.error);
  // Pillow's conversion of 16-bit grey saturates.
  for (size_t i = 0; i < grey.size(); ++i)
    std::memset(&out.rgb[i * 3], static_cast<int>(std::min<uint16_t>(grey[i], 255)), 3);
  read_end(png, reader.info);
  return oriented(std::move(out), orientation_of(png, reader.info));
}

namespace {

struct Picture {
  std::span<const uint8_t> pixels;
  uint32_t width = 0, height = 0, channels = 0;
};

bool write_rows(png_structp png, png_infop info, const Picture* picture, std::string* to) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_write_fn(png, to, png_sink_write, png_sink_flush);
  png_set_IHDR(png, info, picture->width, picture->height, 8,
               picture->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  const size_t row = size_t{picture->width} * picture->channels;
  for (uint32_t y = 0; y < picture->height; ++y) png_write_row(png, picture->pixels.data() + y * row);
  png_write_end(png, info);
  return true;
}

std::string encode(const Picture& picture) {
  if (picture.pixels.empty() ||
      picture.pixels.size() != size_t{picture.width} * picture.height * picture.channels)
    throw Error(ErrorCode::usage, "an empty image cannot be written");
  Source errors;
  std::string out;
  png_structp png =
      png_create_write_struct(PNG_LIBPNG_VER_STRING, &errors, png_source_error, png_source_warning);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  const bool written = info != nullptr && write_rows(png, info, &picture, &out);
  png_destroy_write_struct(&png, &info);
  if (!written) throw Error(ErrorCode::io, fmt::format("cannot write a PNG: {}", errors.error));
  return out;
}

}  // namespace

std::string encode_grey_png(std::span<const uint8_t> pixels, uint32_t width, uint32_t height) {
  return encode({pixels, width, height, 1});
}

}  // namespace processors

std::string encode_png(const Image& image) {
  return processors::encode({image.rgb, image.width, image.height, 3});
}

}  // namespace ferry
