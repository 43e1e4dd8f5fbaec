#pragma once
// Tokens that are kept whole: found in the text before anything else sees it, or after it was normalized.
// Source: tokenizers 0.22.2, tokenizer/added_vocabulary.rs.
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ferry/tokenizer.h"
#include "tokenizers/models/model.h"
#include "tokenizers/models/trie.h"
#include "tokenizers/normalizers/normalizer.h"

namespace ferry::tokenizers {

class AddedVocabulary {
 public:
  /// Adds tokens; each gets the id that it has already, or the next free one. Call refresh() after the last.
  /// Errors: Error{invalid_file} beyond the largest id or for a token that is too long.
  void add(const std::vector<AddedToken>& tokens, const Model& model);
  /// Prepares the search. `normalizer` may be null.
  void refresh(const Model& model, const Normalizer* normalizer);

  /// With true, special tokens in the text are text like any other.
  void set_encode_special_tokens(bool value) { encode_special_tokens_ = value; }

  /// Cuts out the tokens that are looked for in the text as it is.
  void extract(PreTokenized& text) const { split(text, plain_); }
  /// Cuts out those that are looked for in normalized text.
  void extract_normalized(PreTokenized& text) const { split(text, normalized_); }

  [[nodiscard]] std::optional<uint32_t> find(std::string_view content) const;
  /// The token of an id, or null.
  [[nodiscard]] const AddedToken* token(uint32_t id) const;
  [[nodiscard]] bool is_special(std::string_view content) const {
    return special_.contains(std::string(content));
  }
  /// By id, ascending.
  [[nodiscard]] const std::map<uint32_t, AddedToken>& by_id() const { return by_id_; }
  [[nodiscard]] const std::unordered_map<std::string, uint32_t>& ids() const { return ids_; }

 private:
  struct Set {
    Trie trie;
    std::vector<uint32_t> ids;  // By the number that the trie gives.
    std::vector<const AddedToken*> tokens;
    bool starts[256] = {};  // Bytes that a token starts with.
  };
  static void insert(Set& set, std::string_view pattern, uint32_t id, const AddedToken& token);
  void split(PreTokenized& text, const Set& set) const;

  std::unordered_map<std::string, uint32_t> ids_;
  std::map<uint32_t, AddedToken> by_id_;
  std::vector<AddedToken> special_tokens_;
  std::vector<AddedToken> other_tokens_;
  std::unordered_set<std::string> special_;
  Set plain_;
  Set normalized_;
  bool encode_special_tokens_ = false;
};

}  // namespace ferry::tokenizers
