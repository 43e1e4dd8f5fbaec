// ByteLevel: GPT-2's words, each byte written as a printable character.
#include "tokenizers/pre_tokenizers/pre_tokenizer.h"
#include "tokenizers/regex/known_patterns.h"

namespace ferry::tokenizers {
namespace {

class ByteLevel final : public PreTokenizer {
 public:
  explicit ByteLevel(const Spec& spec)
      : add_prefix_space_(spec.boolean("add_prefix_space")), use_regex_(spec.boolean("use_regex", true)) {
    static_cast<void>(spec.boolean(
        "trim_offsets"));  // Asked for by the format; the post-processor of the same name uses it.
  }

  void pre_tokenize(PreTokenized& text) const override {
    text.write_byte_level();  // Two ByteLevels in a row: the second one sees the first one's characters.
    if (add_prefix_space_) add_spaces(text);
    if (use_regex_) split(text);
    text.set_byte_level();
  }

 private:
  static void add_spaces(PreTokenized& text) {
    bool all_there = true;
    for (const Piece& piece : text.pieces())
      all_there &= piece.added_token >= 0 || text.text(piece).starts_with(' ');
    if (all_there) return;
    text.rewrite([&](const Piece& piece, Rewriter& out) {
      if (piece.begin < piece.end && !text.text(piece).starts_with(' ')) out.put(' ', piece.begin);
      out.copy(piece.begin, piece.end);
    });
  }

  static void split(PreTokenized& text) {
    const char* base = text.text().data();
    text.split([&](const Piece& piece, auto&& emit) {
      const char* end = base + piece.end;
      for (const char* p = base + piece.begin; p < end;) {
        const char* next = match_gpt2(p, end);
        emit(static_cast<uint32_t>(p - base), static_cast<uint32_t>(next - base));
        p = next;
      }
    });
  }

  bool add_prefix_space_;
  bool use_regex_;
};
}  // namespace

std::unique_ptr<PreTokenizer> make_byte_level(const Spec& spec) {
  return std::make_unique<ByteLevel>(spec);
}

}  // namespace ferry::tokenizers
