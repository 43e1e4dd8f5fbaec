#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace ferry::tokenizers::jinja {

// A piece of the source: text, {{ output }} or {% tag %}.
struct Part {
  enum class Kind { text, output, tag };
  Kind kind;
  std::string text;
  size_t line;
};

inline bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Cuts a template into its parts, with trim_blocks and lstrip_blocks. Errors: Error{invalid_config}.
std::vector<Part> split_source(std::string_view source);

}  // namespace ferry::tokenizers::jinja
