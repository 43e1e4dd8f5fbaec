#include "tokenizers/pre_tokenizers/pre_tokenizer.h"

#include "tokenizers/unicode/properties.h"

namespace ferry::tokenizers {
namespace {

class Sequence final : public PreTokenizer {
 public:
  explicit Sequence(const Spec& spec) {
    for (const Spec& child : spec.children("pretokenizers")) parts_.push_back(make_pre_tokenizer(child));
  }
  void pre_tokenize(PreTokenized& text) const override {
    for (const auto& part : parts_) {
      part->pre_tokenize(text);
    }
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

// Cuts where the script changes. Source: tokenizers 0.22.2, pre_tokenizers/unicode_scripts; it drops the
// characters of any script that stand before the first of a certain one.
class UnicodeScripts final : public PreTokenizer {
 public:
  void pre_tokenize(PreTokenized& text) const override {
    const char* base = text.text().data();
    text.split([&](const Piece& piece, auto&& emit) {
      uint32_t last = 0;
      uint32_t begin = piece.end;
      for (uint32_t at = piece.begin; at < piece.end;
           at += utf8_length(static_cast<unsigned char>(base[at]))) {
        const uint32_t script = script_class(decode_utf8(base + at));
        if (script == 0) continue;
        if (script != last) {
          if (last != 0) emit(begin, at);
          begin = at;
        }
        last = script;
      }
      emit(begin, piece.end);
    });
  }
};

class FixedLength final : public PreTokenizer {
 public:
  explicit FixedLength(const Spec& spec)
      : length_(spec.has("length") ? spec.number("length", UINT32_MAX) : 5) {
    if (length_ == 0) spec.fail("length", "must not be 0");
  }
  void pre_tokenize(PreTokenized& text) const override {
    const char* base = text.text().data();
    text.split([&](const Piece& piece, auto&& emit) {
      uint32_t begin = piece.begin;
      uint64_t characters = 0;
      for (uint32_t at = piece.begin; at < piece.end;
           at += utf8_length(static_cast<unsigned char>(base[at]))) {
        if (characters == length_) {
          emit(begin, at);
          begin = at;
          characters = 0;
        }
        ++characters;
      }
      emit(begin, piece.end);
    });
  }

 private:
  uint64_t length_;
};

constexpr std::string_view kTypes[] = {
    "BertPreTokenizer", "ByteLevel",  "CharDelimiterSplit", "Metaspace",       "Whitespace",
    "Sequence",         "Split",      "Punctuation",        "WhitespaceSplit", "Digits",
    "UnicodeScripts",   "FixedLength"};

// All but ByteLevel look at characters: where ByteLevel came before, they see the ones that it writes.
class OnCharacters final : public PreTokenizer {
 public:
  explicit OnCharacters(std::unique_ptr<PreTokenizer> inner) : inner_(std::move(inner)) {}
  void pre_tokenize(PreTokenized& text) const override {
    text.write_byte_level();
    inner_->pre_tokenize(text);
  }

 private:
  std::unique_ptr<PreTokenizer> inner_;
};

std::unique_ptr<PreTokenizer> make_on_characters(const Spec& spec, const std::string& type) {
  if (type == "Metaspace") return make_metaspace(spec);
  if (type == "Split") return make_split(spec);
  if (type == "UnicodeScripts") return std::make_unique<UnicodeScripts>();
  if (type == "FixedLength") return std::make_unique<FixedLength>(spec);
  if (auto splitter = make_character_splitter(spec)) return splitter;
  spec.fail_type(kTypes);
}
}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Spec& spec) {
  const std::string type = spec.type();
  if (type == "ByteLevel") return make_byte_level(spec);
  if (type == "Sequence") return std::make_unique<Sequence>(spec);
  return std::make_unique<OnCharacters>(make_on_characters(spec, type));
}

}  // namespace ferry::tokenizers
