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

  /// The entry of `word`, or null. The word is at most kLongestWord long and not empty.
  const Entry* find(uint64_t hash, std::string_view word) {
    if (!entries_) entries_ = std::make_unique<Entry[]>(kEntries);
    Entry* pair = pair_of(hash);
    if (holds(pair[0], hash, word)) return &pair[0];
    return holds(pair[1], hash, word) ? &pair[1] : nullptr;
  }

  /// Remembers the `count` tokens of `word`, if they are few. The older of two words goes.
  template <typename Token>
  void store(uint64_t hash, std::string_view word, const Token* tokens, size_t count) {
    if (count > kMostTokens) return;
    Entry* pair = pair_of(hash);
    pair[1] = pair[0];
    Entry& e = pair[0];
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
  static constexpr size_t kEntries = size_t{1} << 15;

  Entry* pair_of(uint64_t hash) { return &entries_[(hash >> 49) & ~uint64_t{1}]; }
  static bool holds(const Entry& e, uint64_t hash, std::string_view word) {
    return e.hash == hash && e.length == word.size() && std::memcmp(e.word, word.data(), word.size()) == 0;
  }

  std::unique_ptr<Entry[]> entries_;
};

}  // namespace ferry::tokenizers
