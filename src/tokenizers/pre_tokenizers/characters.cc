// The pre-tokenizers that look at one character at a time.
#include "tokenizers/pre_tokenizers/behavior.h"
#include "tokenizers/pre_tokenizers/pre_tokenizer.h"
#include "tokenizers/unicode/properties.h"

namespace ferry::tokenizers {
namespace {

uint32_t length_at(const char* p) {
  return utf8_length(static_cast<unsigned char>(*p));
}

// Cuts at white space, which goes, and around punctuation.
class BertPreTokenizer final : public PreTokenizer {
 public:
  void pre_tokenize(PreTokenized& text) const override {
    const char* base = text.text().data();
    text.split([&](const Piece& piece, auto&& emit) {
      uint32_t begin = piece.begin;
      for (uint32_t at = piece.begin; at < piece.end;) {
        const uint32_t next = at + length_at(base + at);
        const Properties p = properties(decode_utf8(base + at));
        if (p.has(white_space | punctuation)) {
          emit(begin, at);
          if (!p.has(white_space)) emit(at, next);
          begin = next;
        }
        at = next;
      }
      emit(begin, piece.end);
    });
  }
};

// \w+|[^\w\s]+
class Whitespace final : public PreTokenizer {
 public:
  void pre_tokenize(PreTokenized& text) const override {
    const char* base = text.text().data();
    text.split([&](const Piece& piece, auto&& emit) {
      enum Kind : uint8_t { space, word, other };
      uint32_t begin = piece.begin;
      Kind kind = space;
      for (uint32_t at = piece.begin; at < piece.end;) {
        const Properties p = properties(decode_utf8(base + at));
        const Kind here = p.has(regex_word) ? word : p.has(white_space) ? space : other;
        if (here != kind) {
          if (kind != space) emit(begin, at);
          begin = at;
          kind = here;
        }
        at += length_at(base + at);
      }
      if (kind != space) emit(begin, piece.end);
    });
  }
};

// Characters of a set are matches; `behavior` says what becomes of them.
class CharacterSplit final : public PreTokenizer {
 public:
  CharacterSplit(uint32_t flags, Behavior behavior) : flags_(flags), behavior_(behavior) {}
  explicit CharacterSplit(char32_t delimiter) : delimiter_(delimiter) {}

  void pre_tokenize(PreTokenized& text) const override {
    const char* base = text.text().data();
    std::vector<Match> matches;
    text.split([&](const Piece& piece, auto&& emit) {
      matches.clear();
      uint32_t begin = piece.begin;
      for (uint32_t at = piece.begin; at < piece.end;) {
        const char32_t c = decode_utf8(base + at);
        const uint32_t next = at + length_at(base + at);
        if (flags_ != 0 ? properties(c).has(flags_) : c == delimiter_) {
          if (begin < at) matches.push_back({begin, at, false});
          matches.push_back({at, next, true});
          begin = next;
        }
        at = next;
      }
      if (begin < piece.end) matches.push_back({begin, piece.end, false});
      apply_behavior(behavior_, matches);
      for (const Match& m : matches) emit(m.begin, m.end);
    });
  }

 private:
  uint32_t flags_ = 0;
  char32_t delimiter_ = 0;
  Behavior behavior_ = Behavior::removed;
};
}  // namespace

std::unique_ptr<PreTokenizer> make_character_splitter(const Spec& spec) {
  const std::string type = spec.type();
  if (type == "BertPreTokenizer") return std::make_unique<BertPreTokenizer>();
  if (type == "Whitespace") return std::make_unique<Whitespace>();
  if (type == "WhitespaceSplit") return std::make_unique<CharacterSplit>(white_space, Behavior::removed);
  if (type == "CharDelimiterSplit") return std::make_unique<CharacterSplit>(spec.character("delimiter"));
  if (type == "Punctuation") {
    const Behavior behavior = spec.has("behavior") ? read_behavior(spec, "behavior") : Behavior::isolated;
    return std::make_unique<CharacterSplit>(punctuation, behavior);
  }
  if (type == "Digits") {
    const bool alone = spec.boolean("individual_digits");
    return std::make_unique<CharacterSplit>(numeric, alone ? Behavior::isolated : Behavior::contiguous);
  }
  return nullptr;
}

}  // namespace ferry::tokenizers
