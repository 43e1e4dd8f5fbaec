#pragma once
// A set of byte strings with a number each, walked byte by byte.
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizers/models/hash.h"

namespace ferry::tokenizers {

/// Transitions are kept in one hash table: building is one insertion a node, and a step is one look-up.
class Trie {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  Trie() { clear(); }

  /// Errors: Error{invalid_file} beyond 2^24 nodes.
  void insert(std::string_view key, uint32_t value);
  /// Room for keys of so many bytes in all.
  void reserve(size_t bytes);

  [[nodiscard]] bool empty() const { return values_.size() == 1 && values_[0] == kNone; }

  /// From `node` (0 is the root) along `byte`; kNone if there is no way.
  [[nodiscard]] uint32_t step(uint32_t node, unsigned char byte) const {
    if (node == 0) return root_[byte];
    const uint32_t key = node << 8 | byte;
    for (size_t at = slot_of(key);; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].next;
      if (slots_[at].key == 0) return kNone;
    }
  }
  /// The number of the key that ends at `node`, or kNone.
  [[nodiscard]] uint32_t value(uint32_t node) const { return values_[node]; }

  /// The longest key that starts at `p`: its length, with its number in `found`; 0 if there is none.
  [[nodiscard]] uint32_t longest(const char* p, const char* end, uint32_t& found) const {
    uint32_t node = 0;
    uint32_t length = 0;
    for (const char* q = p; q < end; ++q) {
      node = step(node, static_cast<unsigned char>(*q));
      if (node == kNone) break;
      if (values_[node] != kNone) {
        found = values_[node];
        length = static_cast<uint32_t>(q - p) + 1;
      }
    }
    return length;
  }

 private:
  struct Slot {
    uint32_t key;  // node << 8 | byte; 0 is free, since the root has a table of its own.
    uint32_t next;
  };
  void clear();
  void rehash(size_t slots);
  [[nodiscard]] size_t slot_of(uint32_t key) const { return hash_word(key) & mask_; }

  uint32_t root_[256];
  std::vector<Slot> slots_;
  size_t mask_ = 0;
  size_t used_ = 0;
  std::vector<uint32_t> values_;
};

}  // namespace ferry::tokenizers
