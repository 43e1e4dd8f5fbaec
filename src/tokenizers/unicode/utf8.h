#pragma once
// UTF-8 that is known to be well formed (every text is checked once, where it enters).
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace ferry::tokenizers {

/// Bytes of the character whose first byte is `lead`.
inline uint32_t utf8_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xE0) return 2;
  return lead < 0xF0 ? 3 : 4;
}

inline bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// The character that starts at `p`.
inline char32_t decode_utf8(const char* p) {
  const auto* b = reinterpret_cast<const unsigned char*>(p);
  if (b[0] < 0x80) return b[0];
  if (b[0] < 0xE0) return static_cast<char32_t>((b[0] & 0x1Fu) << 6 | (b[1] & 0x3Fu));
  if (b[0] < 0xF0) return static_cast<char32_t>((b[0] & 0x0Fu) << 12 | (b[1] & 0x3Fu) << 6 | (b[2] & 0x3Fu));
  return static_cast<char32_t>((b[0] & 0x07u) << 18 | (b[1] & 0x3Fu) << 12 | (b[2] & 0x3Fu) << 6 |
                               (b[3] & 0x3Fu));
}

/// Where the character before `p` starts; there must be one.
inline const char* previous_utf8(const char* p) {
  do --p;
  while (is_continuation(*p));
  return p;
}

/// Writes `c` to `out` (4 bytes of room) and returns its length.
inline uint32_t encode_utf8(char32_t c, char* out) {
  if (c < 0x80) {
    out[0] = static_cast<char>(c);
    return 1;
  }
  if (c < 0x800) {
    out[0] = static_cast<char>(0xC0 | c >> 6);
    out[1] = static_cast<char>(0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = static_cast<char>(0xE0 | c >> 12);
    out[1] = static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out[2] = static_cast<char>(0x80 | (c & 0x3F));
    return 3;
  }
  out[0] = static_cast<char>(0xF0 | c >> 18);
  out[1] = static_cast<char>(0x80 | (c >> 12 & 0x3F));
  out[2] = static_cast<char>(0x80 | (c >> 6 & 0x3F));
  out[3] = static_cast<char>(0x80 | (c & 0x3F));
  return 4;
}

inline void append_utf8(std::string& out, char32_t c) {
  char bytes[4];
  out.append(bytes, encode_utf8(c, bytes));
}

/// How many bytes from `p` on are ASCII.
inline uint32_t ascii_run(const char* p, const char* end) {
  const char* begin = p;
  while (end - p >= 8) {
    uint64_t word = 0;
    std::memcpy(&word, p, 8);
    if ((word & 0x8080808080808080u) != 0) break;
    p += 8;
  }
  while (p < end && static_cast<unsigned char>(*p) < 0x80) ++p;
  return static_cast<uint32_t>(p - begin);
}

}  // namespace ferry::tokenizers
