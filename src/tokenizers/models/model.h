#pragma once
// Models turn a word into tokens; each has the name and the options it has in tokenizer.json.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizers/models/vocabulary.h"
#include "tokenizers/models/word_cache.h"

namespace ferry::tokenizers {

/// Bytes [begin, end) of the word.
struct ModelToken {
  uint32_t id;
  uint32_t begin;
  uint32_t end;
};

/// The tokens of one word.
struct WordTokens {
  std::vector<ModelToken> tokens;
  /// Tokens that are not written as the vocabulary has them: index, text (an unknown piece of a Unigram
  /// model).
  std::vector<std::pair<uint32_t, std::string>> named;

  void clear() {
    tokens.clear();
    named.clear();
  }
};

/// What one thread needs while it encodes. The words that a model has seen are kept in `cache`; results never
/// depend on it.
struct ModelScratch {
  WordCache cache;
  WordTokens word;
  std::vector<uint32_t> a, b, c, d;
  std::vector<uint64_t> queue;
  std::vector<double> scores;
};

class Model {
 public:
  virtual ~Model() = default;

  /// Appends the tokens of `word`, which is not empty, to `out`. With `bytes`, the word is to be read byte by
  /// byte, each standing for its ByteLevel character; only if reads_bytes(). Errors: Error{invalid_config} if
  /// an unknown token is needed and the model has none.
  virtual void tokenize(std::string_view word, bool bytes, ModelScratch& scratch, WordTokens& out) const = 0;
  [[nodiscard]] virtual bool reads_bytes() const { return false; }

  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }
  /// As the reference counts it, to give ids to added tokens.
  [[nodiscard]] virtual size_t size() const { return vocabulary_.size(); }
  /// What pieces inside a word begin with ("##"); empty if the model marks none.
  [[nodiscard]] virtual std::string_view continuing_subword_prefix() const { return {}; }
  /// The model as tokenizer.json has it.
  [[nodiscard]] virtual std::string to_json() const = 0;

 protected:
  Vocabulary vocabulary_;
};

struct BpeOptions {
  std::optional<std::string> unk_token;
  std::optional<std::string> continuing_subword_prefix;
  std::optional<std::string> end_of_word_suffix;
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};
using Merges = std::vector<std::pair<std::string_view, std::string_view>>;  // Views of the caller's bytes.

/// Errors: Error{invalid_file} if a merge makes a token that the vocabulary lacks.
std::unique_ptr<Model> make_bpe(Vocabulary vocabulary, const Merges& merges, BpeOptions options);

struct WordPieceOptions {
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  uint64_t max_input_chars_per_word = 100;
};
std::unique_ptr<Model> make_word_piece(Vocabulary vocabulary, WordPieceOptions options);

std::unique_ptr<Model> make_word_level(Vocabulary vocabulary, std::string unk_token);

struct ScoredPiece {
  std::string_view piece;
  double score;
};
/// Errors: Error{invalid_file} if `unk_id` is no piece.
std::unique_ptr<Model> make_unigram(const std::vector<ScoredPiece>& pieces, std::optional<uint64_t> unk_id,
                                    bool byte_fallback);

/// `,"vocab":{...}` in the order of ids.
void append_vocab_json(std::string& out, const Vocabulary& vocabulary);
/// `text` as a JSON string.
void append_json_string(std::string& out, std::string_view text);

}  // namespace ferry::tokenizers
