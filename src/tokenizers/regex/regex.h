#pragma once
// Regular expressions as Hugging Face tokenizers has them: Oniguruma's syntax and matching, Unicode 16
// classes.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::tokenizers {

/// Bytes [begin, end) of a text, and whether the pattern matched there.
struct Match {
  uint32_t begin;
  uint32_t end;
  bool is_match;
};

/// A compiled expression. Const and usable from several threads at once.
class Regex {
 public:
  /// Errors: Error{invalid_config} if the pattern is malformed or too large.
  explicit Regex(std::string_view pattern);

  /// Appends matches and what lies between them, in order, covering all of `text` (as the reference's
  /// find_matches). Positions are counted from `base`. Errors: Error{unsupported} if the pattern takes
  /// absurdly many steps.
  void find_matches(std::string_view text, uint32_t base, std::vector<Match>& out) const;

 private:
  std::shared_ptr<const void> compiled_;
};

/// `pattern` with \p{...}, \w, \d, \s, \b and [:...:] written as ranges of Unicode 16, since the system's
/// Oniguruma knows an older Unicode.
std::string expand_classes(std::string_view pattern);

/// As Regex::find_matches, for a literal. An empty literal matches as the empty expression does.
void find_literal(std::string_view text, std::string_view literal, uint32_t base, std::vector<Match>& out);

}  // namespace ferry::tokenizers
