#pragma once
// Reading JSON that a stranger wrote.
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace ferry {

struct JsonLimits {
  size_t max_bytes = 64u << 20;  ///< Longer texts are refused unread.
  size_t max_depth = 64;         ///< Deeper nesting of arrays and objects is refused.
};

/// Parses one JSON document, UTF-8, without comments. Object members keep their order.
/// Errors: Error{invalid_file} for anything malformed, for a name that occurs twice in one object, for
/// nesting or length beyond `limits`; the message starts with `what` (a file name, usually).
nlohmann::ordered_json parse_json(std::string_view text, std::string_view what,
                                  const JsonLimits& limits = {});

/// Reads and parses a regular file. Errors: as parse_json, and Error{not_found}, Error{io}.
nlohmann::ordered_json read_json(const std::filesystem::path& file, const JsonLimits& limits = {});

}  // namespace ferry
