#include "tokenizers/models/trie.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace ferry::tokenizers {

void Trie::clear() {
  std::fill(std::begin(root_), std::end(root_), kNone);
  values_.assign(1, kNone);
  rehash(64);
}

void Trie::rehash(size_t slots) {
  std::vector<Slot> old(slots, {0, 0});
  old.swap(slots_);
  mask_ = slots - 1;
  for (const Slot& slot : old) {
    if (slot.key == 0) continue;
    size_t at = slot_of(slot.key);
    while (slots_[at].key != 0) at = (at + 1) & mask_;
    slots_[at] = slot;
  }
}

void Trie::reserve(size_t bytes) {
  const size_t slots = std::bit_ceil(std::min<size_t>(bytes, 1u << 24) * 3 / 2 + 64);
  if (slots > slots_.size()) rehash(slots);
}

void Trie::insert(std::string_view key, uint32_t value) {
  uint32_t node = 0;
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    uint32_t next = step(node, byte);
    if (next == kNone) {
      next = static_cast<uint32_t>(values_.size());
      if (next >= (1u << 24)) throw Error(ErrorCode::invalid_file, "the vocabulary is too long");
      values_.push_back(kNone);
      if (node == 0) {
        root_[byte] = next;
      } else {
        if (2 * ++used_ > slots_.size()) rehash(2 * slots_.size());
        const uint32_t slot_key = node << 8 | byte;
        size_t at = slot_of(slot_key);
        while (slots_[at].key != 0) at = (at + 1) & mask_;
        slots_[at] = {slot_key, next};
      }
    }
    node = next;
  }
  values_[node] = value;
}

}  // namespace ferry::tokenizers
