// WordLevel: the whole word is a token, or unknown.
#include "base/error.h"
#include "tokenizers/models/model.h"

namespace ferry::tokenizers {
namespace {

class WordLevel final : public Model {
 public:
  WordLevel(Vocabulary vocabulary, std::string unk_token) : unk_token_(std::move(unk_token)) {
    vocabulary_ = std::move(vocabulary);
    unk_ = vocabulary_.find(unk_token_);
  }

  void tokenize(std::string_view word, bool, ModelScratch&, WordTokens& out) const override {
    auto id = vocabulary_.find(word);
    if (!id) id = unk_;
    if (!id)
      throw Error(ErrorCode::invalid_config, "WordLevel: the unknown token is missing from the vocabulary");
    out.tokens.push_back({*id, 0, static_cast<uint32_t>(word.size())});
  }

  [[nodiscard]] std::string to_json() const override {
    std::string out = "{\"type\":\"WordLevel\"";
    append_vocab_json(out, vocabulary_);
    out += ",\"unk_token\":";
    append_json_string(out, unk_token_);
    return out + "}";
  }

 private:
  std::string unk_token_;
  std::optional<uint32_t> unk_;
};
}  // namespace

std::unique_ptr<Model> make_word_level(Vocabulary vocabulary, std::string unk_token) {
  return std::make_unique<WordLevel>(std::move(vocabulary), std::move(unk_token));
}

}  // namespace ferry::tokenizers
