// Results on the picture that they are about. Letters are a small font of our own, 5 x 7 points.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "ferry/vision.h"
#include "pipelines/media.h"

namespace ferry {
namespace {
using pipelines::Json;
using Colour = std::array<uint8_t, 3>;

struct Glyph {
  char letter;
  std::array<uint8_t, 7> rows;  // Five bits each, the leftmost the highest.
};
constexpr Glyph kFont[] = {
    {'0', {14, 17, 19, 21, 25, 17, 14}}, {'1', {4, 12, 4, 4, 4, 4, 14}},
    {'2', {14, 17, 1, 6, 8, 16, 31}},    {'3', {14, 17, 1, 6, 1, 17, 14}},
    {'4', {2, 6, 10, 18, 31, 2, 2}},     {'5', {31, 16, 30, 1, 1, 17, 14}},
    {'6', {6, 8, 16, 30, 17, 17, 14}},   {'7', {31, 1, 2, 4, 8, 8, 8}},
    {'8', {14, 17, 17, 14, 17, 17, 14}}, {'9', {14, 17, 17, 15, 1, 2, 12}},
    {'A', {14, 17, 17, 31, 17, 17, 17}}, {'B', {30, 17, 17, 30, 17, 17, 30}},
    {'C', {14, 17, 16, 16, 16, 17, 14}}, {'D', {30, 17, 17, 17, 17, 17, 30}},
    {'E', {31, 16, 16, 30, 16, 16, 31}}, {'F', {31, 16, 16, 30, 16, 16, 16}},
    {'G', {14, 17, 16, 23, 17, 17, 15}}, {'H', {17, 17, 17, 31, 17, 17, 17}},
    {'I', {14, 4, 4, 4, 4, 4, 14}},      {'J', {7, 2, 2, 2, 2, 18, 12}},
    {'K', {17, 18, 20, 24, 20, 18, 17}}, {'L', {16, 16, 16, 16, 16, 16, 31}},
    {'M', {17, 27, 21, 21, 17, 17, 17}}, {'N', {17, 25, 21, 19, 17, 17, 17}},
    {'O', {14, 17, 17, 17, 17, 17, 14}}, {'P', {30, 17, 17, 30, 16, 16, 16}},
    {'Q', {14, 17, 17, 17, 21, 18, 13}}, {'R', {30, 17, 17, 30, 20, 18, 17}},
    {'S', {15, 16, 16, 14, 1, 1, 30}},   {'T', {31, 4, 4, 4, 4, 4, 4}},
    {'U', {17, 17, 17, 17, 17, 17, 14}}, {'V', {17, 17, 17, 17, 17, 10, 4}},
    {'W', {17, 17, 17, 21, 21, 27, 17}}, {'X', {17, 10, 4, 4, 4, 10, 17}},
    {'Y', {17, 10, 4, 4, 4, 4, 4}},      {'Z', {31, 1, 2, 4, 8, 16, 31}},
    {'.', {0, 0, 0, 0, 0, 12, 12}},      {',', {0, 0, 0, 0, 4, 4, 8}},
    {'-', {0, 0, 0, 31, 0, 0, 0}},       {'_', {0, 0, 0, 0, 0, 0, 31}},
    {'%', {24, 25, 2, 4, 8, 19, 3}},     {'/', {1, 1, 2, 4, 8, 16, 16}},
    {'(', {2, 4, 8, 8, 8, 4, 2}},        {')', {8, 4, 2, 2, 2, 4, 8}},
    {':', {0, 4, 0, 0, 0, 4, 0}},
};
constexpr std::array<uint8_t, 7> kUnknown = {31, 17, 17, 17, 17, 17, 31}, kBlank = {};
constexpr Colour kWhite = {255, 255, 255};

const std::array<uint8_t, 7>& rows_of(char letter) {
  if (letter == ' ') return kBlank;
  if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  const auto* found =
      std::find_if(std::begin(kFont), std::end(kFont), [&](const Glyph& g) { return g.letter == letter; });
  return found == std::end(kFont) ? kUnknown : found->rows;
}

// The same for the same label, on every machine.
Colour colour_of(std::string_view label) {
  constexpr Colour kColours[] = {{214, 39, 40},  {31, 119, 180}, {44, 160, 44},  {148, 103, 189},
                                 {255, 127, 14}, {140, 86, 75},  {23, 140, 150}, {200, 60, 150},
                                 {120, 120, 20}, {60, 60, 60}};
  uint32_t hash = 2166136261u;
  for (const char c : label) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return kColours[hash % std::size(kColours)];
}

class Canvas {
 public:
  explicit Canvas(Image& image)
      : image_(image), unit_(std::max<int64_t>(1, std::min(image.width, image.height) / 240)) {}

  void fill(int64_t left, int64_t top, int64_t width, int64_t height, Colour colour) {
    const int64_t right = std::min<int64_t>(left + width, image_.width),
                  bottom = std::min<int64_t>(top + height, image_.height);
    for (int64_t y = std::max<int64_t>(top, 0); y < bottom; ++y) {
      for (int64_t x = std::max<int64_t>(left, 0); x < right; ++x)
        std::copy(colour.begin(), colour.end(), at(x, y));
    }
  }

  void frame(int64_t left, int64_t top, int64_t right, int64_t bottom, Colour colour) {
    const int64_t width = right - left, height = bottom - top, line = 2 * unit_;
    if (width <= 0 || height <= 0) return;
    fill(left, top, width, line, colour);
    fill(left, bottom - line, width, line, colour);
    fill(left, top, line, height, colour);
    fill(right - line, top, line, height, colour);
  }

  // White on a plate of that colour; returns the plate's height.
  int64_t text(int64_t left, int64_t top, const std::string& words, Colour plate) {
    const auto count = static_cast<int64_t>(words.size());
    const int64_t height = 9 * unit_;
    fill(left, top, (count * 6 + 1) * unit_, height, plate);
    for (int64_t i = 0; i < count; ++i) {
      const auto& rows = rows_of(words[static_cast<size_t>(i)]);
      for (int64_t y = 0; y < 7; ++y) {
        for (int64_t x = 0; x < 5; ++x) {
          if ((rows[static_cast<size_t>(y)] >> (4 - x) & 1) != 0)
            fill(left + (1 + i * 6 + x) * unit_, top + (1 + y) * unit_, unit_, unit_, kWhite);
        }
      }
    }
    return height;
  }

  // Half of the colour where the mask is.
  void tint(const Image& mask, Colour colour) {
    for (size_t i = 0; i < image_.rgb.size(); i += 3) {
      if (mask.rgb[i] == 0) continue;
      for (size_t c = 0; c < 3; ++c)
        image_.rgb[i + c] = static_cast<uint8_t>((image_.rgb[i + c] + colour[c]) / 2);
    }
  }

 private:
  uint8_t* at(int64_t x, int64_t y) { return &image_.rgb[static_cast<size_t>(y * image_.width + x) * 3]; }
  Image& image_;
  int64_t unit_;  // Pixels of a point of a letter.
};

std::string caption(const Json& entry) {
  const std::string label = entry.at("label").get<std::string>();
  const auto score = entry.find("score");
  return score == entry.end() || !score->is_number() ? label
                                                     : fmt::format("{} {:.3f}", label, score->get<double>());
}

void draw_box(Canvas& canvas, const Json& entry, Colour colour) {
  const Json& box = entry.at("box");
  const auto side = [&](const char* name) {
    return std::clamp<int64_t>(box.at(name).get<int64_t>(), -100'000, 400'000);
  };
  canvas.frame(side("xmin"), side("ymin"), side("xmax"), side("ymax"), colour);
  canvas.text(std::max<int64_t>(side("xmin"), 0), std::max<int64_t>(side("ymin"), 0), caption(entry), colour);
}

void draw_entries(Image& image, const Json& result) {
  Canvas canvas(image);
  int64_t top = 0;
  for (const Json& entry : result) {
    const Colour colour = colour_of(entry.at("label").get<std::string>());
    if (entry.contains("box")) {
      draw_box(canvas, entry, colour);
      continue;
    }
    if (entry.contains("mask")) {
      const std::string png = pipelines::from_base64(entry.at("mask").get<std::string>());
      const Image mask = decode_image(std::as_bytes(std::span(png)), "a mask");
      if (mask.width != image.width || mask.height != image.height)
        throw Error(ErrorCode::usage, "a mask is not as large as the picture");
      canvas.tint(mask, colour);
    }
  }
  for (const Json& entry : result) {  // The list of labels lies over the masks.
    if (!entry.contains("box"))
      top += canvas.text(0, top, caption(entry), colour_of(entry.at("label").get<std::string>()));
  }
}

}  // namespace

Image draw(const Image& image, const Json& result) {
  Image out = image;
  try {
    if (!result.is_array())
      throw Error(ErrorCode::usage, "this result is no list of labels, boxes or masks: it cannot be drawn");
    draw_entries(out, result);
  } catch (const Json::exception&) {
    throw Error(ErrorCode::usage, "this result holds no labels, boxes or masks: it cannot be drawn");
  }
  return out;
}

}  // namespace ferry
