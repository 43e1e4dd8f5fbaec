// BertNormalizer: cleans, separates Chinese characters, strips accents, lower-cases. One pass over the text.
// Source: tokenizers 0.22.2, normalizers/bert.rs (four passes there).
#include <algorithm>
#include <array>

#include "tokenizers/normalizers/normalizer.h"
#include "tokenizers/unicode/normalization.h"
#include "tokenizers/unicode/properties.h"

namespace ferry::tokenizers {
namespace {

bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

constexpr char kRemoved = '\xFF';

class BertNormalizer final : public Normalizer {
 public:
  explicit BertNormalizer(const Spec& spec)
      : clean_text_(spec.boolean("clean_text")),
        chinese_(spec.boolean("handle_chinese_chars")),
        lowercase_(spec.boolean("lowercase")),
        strip_accents_(spec.boolean("strip_accents", lowercase_)) {
    for (unsigned c = 0; c < 128; ++c) {
      auto to = static_cast<char>(c);
      if (lowercase_ && c >= 'A' && c <= 'Z') to = static_cast<char>(c | 0x20);
      if (clean_text_ && properties(c).has(white_space)) to = ' ';
      if (clean_text_ && properties(c).has(bert_removed)) to = kRemoved;
      ascii_[c] = to;
    }
  }

  void normalize(PreTokenized& text) const override {
    std::vector<Sourced> run;
    std::vector<Sourced> scratch;
    text.rewrite([&](const Piece& piece, Rewriter& out) {
      const char* base = text.text().data();
      uint32_t at = piece.begin;
      while (at < piece.end) {
        at = copy_ascii(base, at, piece.end, out);
        if (at == piece.end) break;
        at = collect(base, at, piece.end, run);
        write(run, scratch, out);
      }
    });
  }

 private:
  // ASCII up to the first character that is removed; returns where it stopped.
  uint32_t copy_ascii(const char* base, uint32_t at, uint32_t end, Rewriter& out) const {
    uint32_t stop = at + ascii_run(base + at, base + end);
    if (clean_text_) {
      stop = static_cast<uint32_t>(
          std::find_if(base + at, base + stop,
                       [&](char c) { return ascii_[static_cast<unsigned char>(c)] == kRemoved; }) -
          base);
    }
    char* room = out.replace_ascii(at, stop - at);
    for (uint32_t i = at; i < stop; ++i) *room++ = ascii_[static_cast<unsigned char>(base[i])];
    return stop;
  }

  // The characters up to the next ASCII one that stays, cleaned and with Chinese ones set apart. Removed
  // ASCII does not end the run: marks on both sides of it come to stand together, and may be reordered.
  uint32_t collect(const char* base, uint32_t at, uint32_t end, std::vector<Sourced>& run) const {
    run.clear();
    while (at < end) {
      const char32_t c = decode_utf8(base + at);
      const uint32_t from = at;
      if (c < 128 && ascii_[c] != kRemoved) break;
      at += utf8_length(static_cast<unsigned char>(base[at]));
      if (c < 128) continue;
      if (clean_text_) {
        const Properties p = properties(c);
        if (p.has(bert_removed)) continue;
        if (p.has(white_space)) {
          run.push_back({' ', from});
          continue;
        }
      }
      if (chinese_ && is_chinese(c)) {
        run.push_back({' ', from});
        run.push_back({c, from});
        run.push_back({' ', from});
      } else {
        run.push_back({c, from});
      }
    }
    return at;
  }

  void write(std::vector<Sourced>& run, std::vector<Sourced>& scratch, Rewriter& out) const {
    if (strip_accents_) decompose(run, scratch);
    for (const Sourced& s : run) {
      if (strip_accents_ && properties(s.c).has(bert_accent)) continue;
      if (!lowercase_) {
        out.put(s.c, s.from);
        continue;
      }
      char32_t lower[3];
      const uint32_t n = to_lower(s.c, lower);
      for (uint32_t i = 0; i < n; ++i) out.put(lower[i], s.from);
    }
  }

  bool clean_text_;
  bool chinese_;
  bool lowercase_;
  bool strip_accents_;
  std::array<char, 128> ascii_{};
};
}  // namespace

std::unique_ptr<Normalizer> make_bert_normalizer(const Spec& spec) {
  return std::make_unique<BertNormalizer>(spec);
}

}  // namespace ferry::tokenizers
