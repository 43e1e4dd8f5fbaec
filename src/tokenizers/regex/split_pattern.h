#pragma once
// The "pattern" of Split and Replace: {"String": ...} or {"Regex": ...}.
#include <optional>
#include <string>

#include "tokenizers/regex/known_patterns.h"
#include "tokenizers/regex/regex.h"
#include "tokenizers/spec.h"

namespace ferry::tokenizers {

class SplitPattern {
 public:
  /// Errors: Error{invalid_config}.
  explicit SplitPattern(const Spec& spec);

  /// As Regex::find_matches.
  void find_matches(std::string_view text, uint32_t base, std::vector<Match>& out) const;

  /// The hand-written matcher, or null.
  [[nodiscard]] Matcher matcher() const { return matcher_; }

 private:
  std::string literal_;
  std::optional<Regex> regex_;
  Matcher matcher_ = nullptr;
};

}  // namespace ferry::tokenizers
