#pragma once
// Which pairs of tokens merge, into what, and in which order.
#include <bit>
#include <cstdint>
#include <vector>

#include "tokenizers/models/hash.h"

namespace ferry::tokenizers {

class MergeTable {
 public:
  struct Merge {
    uint32_t rank = UINT32_MAX;  ///< UINT32_MAX: they do not merge.
    uint32_t new_id = 0;
  };

  explicit MergeTable(size_t merges) : slots_(std::bit_ceil(2 * merges + 8)), mask_(slots_.size() - 1) {}

  /// A pair that is there already is replaced. At most as many pairs as were announced.
  void insert(uint32_t left, uint32_t right, Merge merge) {
    const uint64_t key = key_of(left, right);
    size_t at = hash_word(key) & mask_;
    while (slots_[at].key != kFree && slots_[at].key != key) at = (at + 1) & mask_;
    slots_[at] = {key, merge};
  }

  [[nodiscard]] Merge find(uint32_t left, uint32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t at = hash_word(key) & mask_;; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].merge;
      if (slots_[at].key == kFree) return {};
    }
  }

  template <typename F>
  void for_each(F&& f) const {
    for (const Slot& slot : slots_) {
      if (slot.key != kFree)
        f(static_cast<uint32_t>(slot.key >> 32), static_cast<uint32_t>(slot.key), slot.merge);
    }
  }

 private:
  static constexpr uint64_t kFree = UINT64_MAX;
  struct Slot {
    uint64_t key = kFree;
    Merge merge;
  };
  static uint64_t key_of(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }

  std::vector<Slot> slots_;
  size_t mask_;
};

/// Merges neighbours until none are left, lowest rank first, then leftmost. ids[i] covers lengths[i] bytes;
/// both shrink in place. Source: tokenizers 0.22.2, models/bpe/word.rs merge_all().
void merge_all(const MergeTable& merges, const std::vector<uint32_t>& new_id_of_rank,
               std::vector<uint32_t>& ids, std::vector<uint32_t>& lengths, std::vector<uint32_t>& scratch1,
               std::vector<uint32_t>& scratch2, std::vector<uint64_t>& queue);

}  // namespace ferry::tokenizers
