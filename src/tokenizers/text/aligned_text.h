#pragma once
// A text that remembers, byte for byte, which character of the original it comes from.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {

/// Longest text that is tokenized, in bytes: positions are 31-bit numbers.
inline constexpr size_t kMaxTextBytes = (size_t{1} << 31) - 16;

/// A text and its alignment. Each character comes from one character of the original. While characters stand
/// where they stood ("in place"), nothing is stored for that; most texts never leave this state.
/// The original's bytes are the caller's and must outlive the object.
class AlignedText {
 public:
  explicit AlignedText(std::string_view original) : original_(original) {}

  /// Starts over with another text; storage is kept.
  void reset(std::string_view original) {
    original_ = original;
    changed_ = false;
    in_place_ = true;
  }

  [[nodiscard]] std::string_view original() const { return original_; }
  [[nodiscard]] std::string_view text() const { return changed_ ? std::string_view(text_) : original_; }
  [[nodiscard]] bool in_place() const { return in_place_; }

  /// Where in the original the character starts that byte `at` comes from.
  [[nodiscard]] uint32_t source_begin(uint32_t at) const {
    if (!in_place_) return sources_[at] & ~kNothing;
    const char* base = original_.data();
    const char* p = base + at;
    while (is_continuation(*p)) --p;
    return static_cast<uint32_t>(p - base);
  }
  /// Where in the original that character ends.
  [[nodiscard]] uint32_t source_end(uint32_t at) const {
    if (!in_place_ && (sources_[at] & kNothing) != 0) return sources_[at] & ~kNothing;
    const uint32_t begin = source_begin(at);
    return begin + utf8_length(static_cast<unsigned char>(original_[begin]));
  }

 private:
  friend class Rewriter;
  /// Marks a source that is a position and no character: what a pattern inserts before the first character.
  static constexpr uint32_t kNothing = 1u << 31;

  std::string_view original_;
  std::string text_;
  std::vector<uint32_t> sources_;
  bool changed_ = false;
  bool in_place_ = true;
};

/// Writes a new version of a text, front to back. Errors: Error{unsupported} once the result is absurdly
/// longer than the original (a hostile replacement).
class Rewriter {
 public:
  /// Reads `in`, writes `out`, whose storage is reused. They are two objects of the same original.
  Rewriter(const AlignedText& in, AlignedText& out);

  [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(out_.text_.size()); }

  /// Bytes [begin, end) of the text that is read, as they are; whole characters.
  void copy(uint32_t begin, uint32_t end);

  /// `c`, coming from the character at byte `from` of the text that is read.
  void put(char32_t c, uint32_t from) {
    char bytes[4];
    const uint32_t n = encode_utf8(c, bytes);
    put(std::string_view(bytes, n), from);
  }
  /// The bytes of one or more characters, all coming from the character at byte `from`.
  void put(std::string_view characters, uint32_t from);
  /// Characters that come from no character: they stand at `original_at` of the original.
  void put_nowhere(std::string_view characters, uint32_t original_at);
  /// Room for `n` bytes that replace as many ASCII bytes from `begin` on, one for one; the caller fills it.
  char* replace_ascii(uint32_t begin, uint32_t n);

 private:
  void leave_place();
  void copy_sources(uint32_t begin, uint32_t end);
  void check_size() const;

  const AlignedText& in_;
  AlignedText& out_;
  size_t limit_;
};

}  // namespace ferry::tokenizers
