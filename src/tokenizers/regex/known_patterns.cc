#include "tokenizers/regex/known_patterns.h"

#include <memory>
#include <utility>

#include "tokenizers/unicode/properties.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {

// Classes of characters, as bits.
enum : uint8_t {
  kLetter = 1,   // \p{L}
  kNumber = 2,   // \p{N}
  kSpace = 4,    // \s
  kNewline = 8,  // \r \n
  kOther = 16,   // [^\s\p{L}\p{N}]
  kUpper = 32,   // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
  kLower = 64,   // [\p{Ll}\p{Lm}\p{Lo}\p{M}]
};

uint8_t compute_class(char32_t c) {
  const Properties p = properties(c);
  const Category category = p.category();
  uint8_t bits = 0;
  if (p.is_letter()) bits |= kLetter;
  if (p.is_number()) bits |= kNumber;
  if (p.has(onig_space)) bits |= kSpace;
  if (c == '\r' || c == '\n') bits |= kNewline;
  if (bits == 0) bits |= kOther;
  const bool both = category == Category::Lm || category == Category::Lo || p.is_mark();
  if (both || category == Category::Lu || category == Category::Lt) bits |= kUpper;
  if (both || category == Category::Ll) bits |= kLower;
  return bits;
}

struct Classes {
  std::unique_ptr<uint8_t[]> of = std::make_unique<uint8_t[]>(0x110000);
  Classes() {
    for (char32_t c = 0; c < 0x110000; ++c) of[c] = compute_class(c);
  }
};

const uint8_t* classes() {
  static const Classes all;
  return all.of.get();
}

// Reads one text's characters by class.
struct Reader {
  const char* end;
  const uint8_t* classes_of = classes();

  [[nodiscard]] uint8_t at(const char* p) const {
    if (p == end) return 0;
    const auto b = static_cast<unsigned char>(*p);
    return b < 0x80 ? classes_of[b] : classes_of[decode_utf8(p)];
  }
  [[nodiscard]] const char* next(const char* p) const {
    return p + utf8_length(static_cast<unsigned char>(*p));
  }
  [[nodiscard]] const char* skip(const char* p, uint8_t bits) const {
    while (p < end && (at(p) & bits) != 0) p = next(p);
    return p;
  }
  [[nodiscard]] const char* skip(const char* p, uint8_t bits, int most) const {
    while (most-- > 0 && p < end && (at(p) & bits) != 0) p = next(p);
    return p;
  }
};

// 's 't 're 've 'm 'll 'd; `any_case`: also in upper case, and the long s, which folds to s.
const char* contraction(const char* p, const char* end, bool any_case) {
  if (end - p < 2 || *p != '\'') return p;
  const auto letter = [&](ptrdiff_t i) -> char {
    if (i >= end - p) return '\0';
    const char c = p[i];
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  const char a = letter(1);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return p + 2;
  const char b = letter(2);
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return p + 3;
  if (any_case && end - p >= 3 && p[1] == '\xC5' && p[2] == '\xBF') return p + 3;
  return p;
}

// \s+(?!\S)|\s+ : a run of spaces leaves its last one to what follows.
const char* spaces(const Reader& r, const char* p) {
  const char* run = r.skip(p, kSpace);
  if (run == r.end || run == p) return run;
  const char* last = previous_utf8(run);
  return last == p ? run : last;
}

// \s*[\r\n]+ : up to the last line end of the run of spaces.
const char* line_ends(const Reader& r, const char* p) {
  const char* found = p;
  for (const char* q = p; q < r.end;) {
    const uint8_t cls = r.at(q);
    if ((cls & kSpace) == 0) break;
    q = r.next(q);
    if ((cls & kNewline) != 0) found = q;
  }
  return found;
}

// ` ?[^\s\p{L}\p{N}]+` and then any of `tail`, a class or '/'.
const char* punctuation(const Reader& r, const char* p, bool line_ends_too, bool slashes_too) {
  const char* q = *p == ' ' ? p + 1 : p;
  const char* run = r.skip(q, kOther);
  if (run == q) return p;
  while (run < r.end && ((line_ends_too && (*run == '\r' || *run == '\n')) || (slashes_too && *run == '/')))
    ++run;
  return run;
}

// [^\r\n\p{L}\p{N}]?\p{L}+
const char* led_letters(const Reader& r, const char* p) {
  const uint8_t first = r.at(p);
  if ((first & kLetter) != 0) return r.skip(r.next(p), kLetter);
  if ((first & (kNewline | kNumber)) != 0) return p;
  const char* q = r.next(p);
  const char* run = r.skip(q, kLetter);
  return run == q ? p : run;
}

// cl100k's pattern; `digits` is how many numbers stay together.
template <int digits>
const char* match_cl100k(const char* p, const char* end) {
  const Reader r{end};
  if (const char* q = contraction(p, end, true); q != p) return q;
  if (const char* q = led_letters(r, p); q != p) return q;
  if (const char* q = r.skip(p, kNumber, digits); q != p) return q;
  if (const char* q = punctuation(r, p, true, false); q != p) return q;
  if (const char* q = line_ends(r, p); q != p) return q;
  return spaces(r, p);
}

// Upper* Lower+ from `q` on: the greedy run of Upper gives back what Lower needs.
const char* upper_then_lower(const Reader& r, const char* q) {
  const char* run = q;
  const char* given_back = nullptr;  // End of the last character of the run that is also Lower.
  while (run < r.end) {
    const uint8_t cls = r.at(run);
    if ((cls & kUpper) == 0) break;
    run = r.next(run);
    if ((cls & kLower) != 0) given_back = run;
  }
  const char* lower = r.skip(run, kLower);
  if (lower != run) return lower;
  return given_back;
}

// Upper+ Lower*
const char* upper_maybe_lower(const Reader& r, const char* q) {
  const char* run = r.skip(q, kUpper);
  return run == q ? nullptr : r.skip(run, kLower);
}

// o200k's words: an optional leading character, then a word in one of two shapes.
const char* cased_word(const Reader& r, const char* p, bool contractions) {
  const uint8_t first = r.at(p);
  const bool may_lead = (first & (kNewline | kLetter | kNumber)) == 0;
  const char* after = r.next(p);
  const char* found = may_lead ? upper_then_lower(r, after) : nullptr;
  if (found == nullptr) found = upper_then_lower(r, p);
  if (found == nullptr && may_lead) found = upper_maybe_lower(r, after);
  if (found == nullptr) found = upper_maybe_lower(r, p);
  if (found == nullptr) return p;
  return contractions ? contraction(found, r.end, true) : found;
}

template <int digits, bool contractions>
const char* match_o200k(const char* p, const char* end) {
  const Reader r{end};
  if (const char* q = cased_word(r, p, contractions); q != p) return q;
  if (const char* q = r.skip(p, kNumber, digits); q != p) return q;
  if (const char* q = punctuation(r, p, true, true); q != p) return q;
  if (const char* q = line_ends(r, p); q != p) return q;
  return spaces(r, p);
}

const char* match_clip(const char* p, const char* end) {
  const Reader r{end};
  if (const char* q = contraction(p, end, false); q != p) return q;
  const uint8_t cls = r.at(p);
  if ((cls & kLetter) != 0) return r.skip(p, kLetter);
  if ((cls & kNumber) != 0) return r.next(p);
  return r.skip(p, kOther);
}

const std::pair<std::string_view, Matcher> kKnown[] = {
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", match_gpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     match_cl100k<3>},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     match_cl100k<1>},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     match_o200k<3, true>},
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     match_o200k<1, false>},
    {R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)", match_clip},
};
}  // namespace

const std::string_view kGpt2Pattern = kKnown[0].first;

const char* match_gpt2(const char* p, const char* end) {
  const Reader r{end};
  if (const char* q = contraction(p, end, false); q != p) return q;
  const char* q = *p == ' ' ? p + 1 : p;
  const uint8_t cls = r.at(q);
  if ((cls & kLetter) != 0) return r.skip(r.next(q), kLetter);
  if ((cls & kNumber) != 0) return r.skip(r.next(q), kNumber);
  if ((cls & kOther) != 0) return r.skip(r.next(q), kOther);
  return spaces(r, p);
}

Matcher known_pattern(std::string_view pattern) {
  for (const auto& [known, matcher] : kKnown) {
    if (known == pattern) return matcher;
  }
  return nullptr;
}

}  // namespace ferry::tokenizers
