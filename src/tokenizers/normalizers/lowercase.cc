#include "tokenizers/normalizers/normalizer.h"
#include "tokenizers/unicode/properties.h"

namespace ferry::tokenizers {
namespace {

class Lowercase final : public Normalizer {
 public:
  void normalize(PreTokenized& text) const override {
    text.rewrite([&](const Piece& piece, Rewriter& out) {
      const char* base = text.text().data();
      uint32_t at = piece.begin;
      while (at < piece.end) {
        const uint32_t run = ascii_run(base + at, base + piece.end);
        char* room = out.replace_ascii(at, run);
        for (uint32_t i = 0; i < run; ++i) {
          const char c = base[at + i];
          room[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        }
        at += run;
        while (at < piece.end && static_cast<unsigned char>(base[at]) >= 0x80) {
          char32_t lower[3];
          const uint32_t n = to_lower(decode_utf8(base + at), lower);
          for (uint32_t i = 0; i < n; ++i) out.put(lower[i], at);
          at += utf8_length(static_cast<unsigned char>(base[at]));
        }
      }
    });
  }
};
}  // namespace

std::unique_ptr<Normalizer> make_lowercase() {
  return std::make_unique<Lowercase>();
}

}  // namespace ferry::tokenizers
