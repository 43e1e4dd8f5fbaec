// WordPiece: the longest piece that the vocabulary has, again and again.
// Source: tokenizers 0.22.2, models/wordpiece/mod.rs.
#include <fmt/format.h>

#include "base/error.h"
#include "tokenizers/models/cached.h"
#include "tokenizers/models/trie.h"
#include "tokenizers/unicode/utf8.h"

namespace ferry::tokenizers {
namespace {

class WordPiece final : public Model {
 public:
  WordPiece(Vocabulary vocabulary, WordPieceOptions options) : options_(std::move(options)) {
    vocabulary_ = std::move(vocabulary);
    unk_ = vocabulary_.find(options_.unk_token);
    const std::string_view prefix = options_.continuing_subword_prefix;
    for (uint32_t id = 0; id < vocabulary_.id_end(); ++id) {
      const std::string_view token = vocabulary_.token(id);
      if (token.empty() || vocabulary_.find(token) != id) continue;
      first_.insert(token, id);
      if (token.size() > prefix.size() && token.starts_with(prefix))
        rest_.insert(token.substr(prefix.size()), id);
    }
  }

  void tokenize(std::string_view word, bool, ModelScratch& scratch, WordTokens& out) const override {
    tokenize_cached(word, scratch, out, [&] { compute(word, out); });
  }

  [[nodiscard]] std::string_view continuing_subword_prefix() const override {
    return options_.continuing_subword_prefix;
  }

  [[nodiscard]] std::string to_json() const override {
    std::string out = "{\"type\":\"WordPiece\",\"unk_token\":";
    append_json_string(out, options_.unk_token);
    out += ",\"continuing_subword_prefix\":";
    append_json_string(out, options_.continuing_subword_prefix);
    out += fmt::format(",\"max_input_chars_per_word\":{}", options_.max_input_chars_per_word);
    append_vocab_json(out, vocabulary_);
    return out + "}";
  }

 private:
  void compute(std::string_view word, WordTokens& out) const {
    const size_t first = out.tokens.size();
    const char* base = word.data();
    const char* end = base + word.size();
    bool known = count_characters(word) <= options_.max_input_chars_per_word;
    for (const char* p = base; known && p < end;) {
      uint32_t id = 0;
      const uint32_t length = (p == base ? first_ : rest_).longest(p, end, id);
      known = length > 0;
      const auto begin = static_cast<uint32_t>(p - base);
      if (known) out.tokens.push_back({id, begin, begin + length});
      p += length;
    }
    if (known) return;
    out.tokens.resize(first);
    if (!unk_) {
      throw Error(ErrorCode::invalid_config, "WordPiece: the unknown token is missing from the vocabulary");
    }
    out.tokens.push_back({*unk_, 0, static_cast<uint32_t>(word.size())});
  }

  static uint64_t count_characters(std::string_view word) {
    uint64_t n = 0;
    for (const char c : word) n += is_continuation(c) ? 0 : 1;
    return n;
  }

  WordPieceOptions options_;
  std::optional<uint32_t> unk_;
  Trie first_;
  Trie rest_;
};
}  // namespace

std::unique_ptr<Model> make_word_piece(Vocabulary vocabulary, WordPieceOptions options) {
  return std::make_unique<WordPiece>(std::move(vocabulary), std::move(options));
}

}  // namespace ferry::tokenizers
