// The hand-written split patterns find what the regular expression engine finds.
#include "tokenizers/regex/known_patterns.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "tokenizers/regex/regex.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {

const std::string_view kPatterns[] = {
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)",
};

std::string random_text(std::mt19937& random) {
  static const char32_t kSome[] = {' ',    ' ',   ' ',   '\n',    '\r',    '\t',  '\'',   's',    'S',
                                   't',    'l',   'l',   'r',     'e',     'V',   'E',    'a',    'B',
                                   '1',    '2',   '/',   '.',     '!',     0xA0,  0xE9,   0xC9,   0x17F,
                                   0x1C5,  0x2B0, 0x301, 0x300,   0x3000,  0x85,  0x180E, 0x200B, 0x4F60,
                                   0x597D, 0xBD,  0x661, 0x1F600, 0x10D4A, 0x2028};
  std::string out;
  const size_t n = random() % 30;
  for (size_t i = 0; i < n; ++i) {
    char32_t c = kSome[random() % std::size(kSome)];
    if (random() % 10 == 0) c = static_cast<char32_t>(random() % 0x110000);
    if (c >= 0xD800 && c <= 0xDFFF) c = 'x';
    append_utf8(out, c);
  }
  return out;
}

std::vector<std::pair<uint32_t, uint32_t>> by_hand(Matcher matcher, const std::string& text) {
  std::vector<std::pair<uint32_t, uint32_t>> out;
  const char* base = text.data();
  const char* end = base + text.size();
  for (const char* p = base; p < end;) {
    const char* next = matcher(p, end);
    if (next == p) {
      p += utf8_length(static_cast<unsigned char>(*p));
      continue;
    }
    out.emplace_back(p - base, next - base);
    p = next;
  }
  return out;
}

TEST(KnownPatterns, AgreeWithOniguruma) {
  std::mt19937 random(7);
  for (const std::string_view pattern : kPatterns) {
    SCOPED_TRACE(std::string(pattern));
    const Matcher matcher = known_pattern(pattern);
    ASSERT_NE(matcher, nullptr);
    const Regex regex(pattern);
    for (int i = 0; i < 4000; ++i) {
      const std::string text = random_text(random);
      std::vector<Match> matches;
      regex.find_matches(text, 0, matches);
      std::vector<std::pair<uint32_t, uint32_t>> expected;
      for (const Match& m : matches) {
        if (m.is_match) expected.emplace_back(m.begin, m.end);
      }
      ASSERT_EQ(by_hand(matcher, text), expected) << text;
    }
  }
}

TEST(Regex, AHopelessPatternGivesUpAndSaysSo) {
  const Regex regex("(x+x+)+y");
  std::vector<Match> matches;
  try {
    regex.find_matches(std::string(4000, 'x'), 0, matches);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
  }
}

TEST(Regex, AMalformedPatternIsNamed) {
  try {
    Regex regex("(unclosed");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_config);
    EXPECT_NE(error.message().find("(unclosed"), std::string::npos);
  }
}
}  // namespace
}  // namespace ferry::tokenizers
