#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tokenizers/regex/regex.h"
#include "tokenizers/unicode/properties.h"

namespace ferry::tokenizers {
namespace {
using Ranges = std::vector<CodePointRange>;

Ranges flag_ranges(Flag flag) {
  Ranges out;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (!properties(c).has(flag)) continue;
    if (!out.empty() && out.back().second + 1 == c) {
      out.back().second = c;
    } else {
      out.emplace_back(c, c);
    }
  }
  return out;
}

std::string written(const Ranges& ranges) {
  std::string out;
  for (const auto& [first, last] : ranges) {
    out += first == last ? fmt::format("\\x{{{:X}}}", static_cast<uint32_t>(first))
                         : fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", static_cast<uint32_t>(first),
                                       static_cast<uint32_t>(last));
  }
  return out;
}

// The ranges of the class letter of \w, \d, \s in lower case.
const std::string& class_letter(char letter, bool in_class) {
  static const std::string word = written(flag_ranges(onig_word));
  static const std::string class_word = written(flag_ranges(onig_class_word));
  static const std::string space = written(flag_ranges(onig_space));
  static const std::string digit = written(*property_ranges("Nd"));
  if (letter == 'w') return in_class ? class_word : word;
  return letter == 's' ? space : digit;
}

class Expander {
 public:
  explicit Expander(std::string_view pattern) : in_(pattern) {}

  std::string run() {
    while (at_ < in_.size()) {
      if (in_[at_] == '\\') {
        escape();
      } else if (depth_ > 0 && in_.substr(at_, 2) == "[:" && posix()) {
        // Written by posix().
      } else {
        bracket(in_[at_]);
        out_ += in_[at_++];
      }
    }
    return std::move(out_);
  }

 private:
  // Keeps the nesting of [...]; a ']' that comes first in its class is a character.
  void bracket(char c) {
    if (c == '[') {
      ++depth_;
      size_t first = at_ + 1;
      if (first < in_.size() && in_[first] == '^') ++first;
      literal_at_ = first < in_.size() && in_[first] == ']' ? first : std::string_view::npos;
    } else if (c == ']' && depth_ > 0 && at_ != literal_at_) {
      --depth_;
    }
  }

  void set(const std::string& ranges, bool negated) {
    if (depth_ > 0 && !negated) {
      out_ += ranges;
    } else {
      out_ += negated ? "[^" : "[";
      out_ += ranges;
      out_ += ']';
    }
  }

  void escape() {
    const char c = at_ + 1 < in_.size() ? in_[at_ + 1] : '\0';
    switch (c) {
      case 'w':
      case 's':
      case 'd':
      case 'W':
      case 'S':
      case 'D':
        at_ += 2;
        return set(class_letter(static_cast<char>(c | 0x20), depth_ > 0), c < 'a');
      case 'b':
      case 'B':
        if (depth_ > 0) break;  // A backspace.
        at_ += 2;
        return boundary(c == 'B');
      case 'p':
      case 'P':
        if (property(c == 'P')) return;
        break;
      default:
        break;
    }
    out_ += in_[at_++];
    if (at_ < in_.size()) out_ += in_[at_++];
  }

  void boundary(bool negated) {
    const std::string& w = class_letter('w', false);
    out_ += negated ? fmt::format("(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))", w)
                    : fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", w);
  }

  // \p{name}, \P{name}, \p{^name}. A name that is not known stays for Oniguruma to judge.
  bool property(bool negated) {
    if (at_ + 2 >= in_.size() || in_[at_ + 2] != '{') return false;
    const size_t close = in_.find('}', at_);
    if (close == std::string_view::npos) return false;
    std::string_view name = in_.substr(at_ + 3, close - at_ - 3);
    if (!name.empty() && name.front() == '^') {
      negated = !negated;
      name.remove_prefix(1);
    }
    const auto ranges = property_ranges(name);
    if (!ranges || ranges->empty()) return false;
    at_ = close + 1;
    set(written(*ranges), negated);
    return true;
  }

  bool posix() {
    const size_t close = in_.find(":]", at_);
    if (close == std::string_view::npos) return false;
    std::string_view name = in_.substr(at_ + 2, close - at_ - 2);
    const bool negated = !name.empty() && name.front() == '^';
    if (negated) name.remove_prefix(1);
    const auto ranges = posix_ranges(name);
    if (!ranges) return false;
    at_ = close + 2;
    set(written(*ranges), negated);
    return true;
  }

  std::string_view in_;
  std::string out_;
  size_t at_ = 0;
  size_t literal_at_ = std::string_view::npos;
  int depth_ = 0;
};
}  // namespace

std::string expand_classes(std::string_view pattern) {
  return Expander(pattern).run();
}

}  // namespace ferry::tokenizers
