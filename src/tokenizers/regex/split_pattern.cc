#include "tokenizers/regex/split_pattern.h"

#include "base/error.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {

SplitPattern::SplitPattern(const Spec& spec) {
  if (spec.has("String")) {
    literal_ = spec.string("String");
  } else if (spec.has("Regex")) {
    const std::string pattern = spec.string("Regex");
    matcher_ = known_pattern(pattern);
    if (matcher_ == nullptr) regex_ = with_context(spec.where(), [&] { return Regex(pattern); });
  } else {
    spec.fail("", "must be {\"String\": ...} or {\"Regex\": ...}");
  }
}

void SplitPattern::find_matches(std::string_view text, uint32_t base, std::vector<Match>& out) const {
  if (regex_) return regex_->find_matches(text, base, out);
  if (matcher_ == nullptr) return find_literal(text, literal_, base, out);
  const char* begin = text.data();
  const char* end = begin + text.size();
  const char* unmatched = begin;
  const auto add = [&](const char* from, const char* to, bool is_match) {
    if (from < to)
      out.push_back(
          {base + static_cast<uint32_t>(from - begin), base + static_cast<uint32_t>(to - begin), is_match});
  };
  for (const char* p = begin; p < end;) {
    const char* next = matcher_(p, end);
    if (next == p) {
      p += utf8_length(static_cast<unsigned char>(*p));
      continue;
    }
    add(unmatched, p, false);
    add(p, next, true);
    unmatched = p = next;
  }
  add(unmatched, end, false);
}

}  // namespace ferry::tokenizers
