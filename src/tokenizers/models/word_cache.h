#pragma once
// The words that were tokenized last, by one thread. Bounded: a word takes the place of another.
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "tokenizers/models/hash.h"

namespace ferry::tokenizers {

class WordCache {
 public:
  static constexpr size_t kLongestWord = 24;
  static constexpr size_t kMostTokens = 5;

  /// One cache line.
  struct alignas(64) Entry {
    uint64_t hash;
    uint32_t ids[kMostTokens];
    uint8_t ends[kMostTokens];
    uint8_t count;
    uint8_t length;  ///< 0: free.
    char word[kLongestWord];
  };

  /// The place of `word`, which is at most kLongestWord long and not empty.
  Entry& slot(uint64_t hash) {
    if (!entries_) entries_ = std::make_unique<Entry[]>(kEntries);
    return entries_[hash >> 50];
  }
  static bool holds(const Entry& e, uint64_t hash, std::string_view word) {
    return e.hash == hash && e.length == word.size() && std::memcmp(e.word, word.data(), word.size()) == 0;
  }

  /// Puts the `count` tokens of `word` into its place.
  template <typename Token>
  static void store(Entry& e, uint64_t hash, std::string_view word, const Token* tokens, size_t count) {
    if (count > kMostTokens) return;
    e.hash = hash;
    e.length = static_cast<uint8_t>(word.size());
    e.count = static_cast<uint8_t>(count);
    std::memcpy(e.word, word.data(), word.size());
    for (size_t i = 0; i < count; ++i) {
      e.ids[i] = tokens[i].id;
      e.ends[i] = static_cast<uint8_t>(tokens[i].end);
    }
  }

 private:
  static constexpr size_t kEntries = size_t{1} << 14;
  std::unique_ptr<Entry[]> entries_;
};

}  // namespace ferry::tokenizers
