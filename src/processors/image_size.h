#pragma once
// How large a picture is to become.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "processors/settings.h"

namespace ferry::processors {

struct Size {
  int64_t height = 0, width = 0;
};

/// The forms of `size`; 0 is "not given".
struct SizeRule {
  int64_t height = 0, width = 0;
  int64_t shortest_edge = 0, longest_edge = 0;
  int64_t max_height = 0, max_width = 0;
};

/// `key` as a number, a list or an object; `otherwise` if it is not there. A number is a square, or else the
/// shortest edge. Errors: Error{invalid_config}.
SizeRule read_size(const Settings& settings, const char* key, bool number_is_square, SizeRule otherwise);

/// The side that a picture's shorter one becomes, the other in proportion (image_transforms.py).
Size by_shortest_edge(Size image, int64_t edge);
/// DETR's: within `longest` if that is not 0.
Size by_edges(Size image, int64_t shortest, int64_t longest);
/// YOLOS': the same, rounded down to multiples of 16.
Size by_edges_of_16(Size image, int64_t shortest, int64_t longest);
/// As large as fits.
Size within(Size image, int64_t height, int64_t width);

}  // namespace ferry::processors
