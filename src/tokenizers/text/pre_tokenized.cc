#include "tokenizers/text/pre_tokenized.h"

#include <algorithm>

namespace ferry::tokenizers {

const ByteAlphabet& byte_alphabet() {
  static const ByteAlphabet alphabet = [] {
    ByteAlphabet a{};
    std::fill(std::begin(a.byte_of), std::end(a.byte_of), int16_t{-1});
    char32_t next = 256;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      const char32_t c = printable ? static_cast<char32_t>(b) : next++;
      char bytes[4] = {};
      a.character[b] = c;
      a.utf8_size[b] = static_cast<uint8_t>(encode_utf8(c, bytes));
      a.utf8[b][0] = bytes[0];
      a.utf8[b][1] = bytes[1];
      a.byte_of[c] = static_cast<int16_t>(b);
    }
    return a;
  }();
  return alphabet;
}

std::string to_byte_level(std::string_view text) {
  const ByteAlphabet& alphabet = byte_alphabet();
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    const auto b = static_cast<unsigned char>(c);
    out.append(alphabet.utf8[b], alphabet.utf8_size[b]);
  }
  return out;
}

void PreTokenized::write_byte_level() {
  if (!byte_level_) return;
  byte_level_ = false;
  const ByteAlphabet& alphabet = byte_alphabet();
  rewrite([&](const Piece& piece, Rewriter& out) {
    const std::string_view all = text();
    uint32_t from = piece.begin;
    for (uint32_t i = piece.begin; i < piece.end; ++i) {
      if (!is_continuation(all[i])) from = i;
      const auto b = static_cast<unsigned char>(all[i]);
      out.put(std::string_view(alphabet.utf8[b], alphabet.utf8_size[b]), from);
    }
  });
}

}  // namespace ferry::tokenizers
