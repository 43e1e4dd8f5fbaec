#pragma once
// Small helpers for text that people read.
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// `text` with control characters and invalid UTF-8 escaped (\n, \x1b) and cut after `longest` bytes with
/// "...". Everything that comes from a file passes through this before it is shown.
std::string printable(std::string_view text, size_t longest = 200);

/// True if `text` is well-formed UTF-8.
bool is_utf8(std::string_view text);

/// "a, b, c"; at most `most` items, then "... (7 more)".
std::string join(std::span<const std::string> items, std::string_view separator = ", ", size_t most = 20);

/// The up to `most` candidates that are nearest to `name` by edit distance, nearest first; far ones are left
/// out.
std::vector<std::string> nearest(std::string_view name, std::span<const std::string> candidates,
                                 size_t most = 3);

std::vector<std::string> split(std::string_view text, char separator);
bool starts_with(std::string_view text, std::string_view prefix);
bool ends_with(std::string_view text, std::string_view suffix);
/// ASCII only.
std::string to_lower(std::string_view text);

/// "1.5 GB", "12 kB": decimal units.
std::string human_bytes(double bytes);

}  // namespace ferry
