#include "processors/image_size.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace ferry::processors {
namespace {
using Json = nlohmann::ordered_json;

constexpr int64_t kLongest = 1 << 18, kMostPixels = 178'956'970;

// Python's int(a * b / c).
int64_t scaled(double a, double b, double c) {
  return static_cast<int64_t>(a * b / c);
}

bool read_side(const Json& value, int64_t& to) {
  // Some files hold 224.0.
  if (!value.is_number() || value.get<double>() != std::floor(value.get<double>())) return false;
  if (value.get<double>() < 1 || value.get<double>() > kLongest) return false;
  to = static_cast<int64_t>(value.get<double>());
  return true;
}

bool read_object(const Json& object, SizeRule& to) {
  const std::pair<const char*, int64_t SizeRule::*> members[] = {{"height", &SizeRule::height},
                                                                 {"width", &SizeRule::width},
                                                                 {"shortest_edge", &SizeRule::shortest_edge},
                                                                 {"longest_edge", &SizeRule::longest_edge},
                                                                 {"max_height", &SizeRule::max_height},
                                                                 {"max_width", &SizeRule::max_width}};
  size_t known = 0;
  for (const auto& [name, member] : members) {
    const auto found = object.find(name);
    if (found == object.end()) continue;
    ++known;
    if (!found->is_null() && !read_side(*found, to.*member)) return false;
  }
  return known > 0 && known == object.size();
}

}  // namespace

SizeRule read_size(const Settings& settings, const char* key, bool number_is_square, SizeRule otherwise) {
  const Json* value = settings.find(key);
  if (value == nullptr) return otherwise;
  SizeRule out;
  bool valid = false;
  if (value->is_number()) {
    int64_t side = 0;
    valid = read_side(*value, side);
    if (number_is_square) {
      out.height = out.width = side;
    } else {
      out.shortest_edge = side;
    }
  } else if (value->is_array()) {
    valid = value->size() == 2 && read_side(value->at(0), out.height) && read_side(value->at(1), out.width);
  } else if (value->is_object()) {
    valid = read_object(*value, out);
  }
  if (valid && (out.height > kMostPixels / std::max<int64_t>(out.width, 1))) valid = false;
  if (!valid) {
    settings.refuse(
        key,
        "a number of pixels, [height, width], or an object of height and width, shortest_edge (and "
        "longest_edge), or max_height and max_width");
  }
  return out;
}

Size by_shortest_edge(Size image, int64_t edge) {
  const auto [shorter, longer] = std::minmax(image.height, image.width);
  const int64_t other =
      scaled(static_cast<double>(edge), static_cast<double>(longer), static_cast<double>(shorter));
  return image.width <= image.height ? Size{other, edge} : Size{edge, other};
}

namespace {

// The shorter side as DETR computes it, before and after rounding.
struct Edge {
  double exact = 0;
  int64_t whole = 0;
};
Edge limited_edge(Size image, int64_t shortest, int64_t longest) {
  const auto [shorter, longer] = std::minmax(image.height, image.width);
  const double small = static_cast<double>(shorter), large = static_cast<double>(longer);
  if (longest == 0 || large / small * static_cast<double>(shortest) <= static_cast<double>(longest))
    return {static_cast<double>(shortest), shortest};
  const double exact = static_cast<double>(longest) * small / large;
  return {exact, static_cast<int64_t>(std::nearbyint(exact))};  // Halves to even, as Python's round.
}

Size along(Size image, Edge edge) {
  const auto height = static_cast<double>(image.height), width = static_cast<double>(image.width);
  if (image.width < image.height) return {scaled(edge.exact, height, width), edge.whole};
  return {edge.whole, scaled(edge.exact, width, height)};
}

}  // namespace

Size by_edges(Size image, int64_t shortest, int64_t longest) {
  const Edge edge = limited_edge(image, shortest, longest);
  return std::min(image.height, image.width) == edge.whole ? image : along(image, edge);
}

Size by_edges_of_16(Size image, int64_t shortest, int64_t longest) {
  const Edge edge = limited_edge(image, shortest, longest);
  const bool fits = image.width >= image.height && image.height == edge.whole;
  const Size size = fits ? image : along(image, edge);
  return {size.height / 16 * 16, size.width / 16 * 16};
}

Size within(Size image, int64_t height, int64_t width) {
  const auto from_height = static_cast<double>(image.height), from_width = static_cast<double>(image.width);
  const double scale =
      std::min(static_cast<double>(height) / from_height, static_cast<double>(width) / from_width);
  return {static_cast<int64_t>(from_height * scale), static_cast<int64_t>(from_width * scale)};
}

}  // namespace ferry::processors
