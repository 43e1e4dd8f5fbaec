#include "tokenizers/models/vocabulary.h"

#include <fmt/format.h>

#include <bit>

#include "base/error.h"
#include "base/text.h"
#include "tokenizers/models/hash.h"

namespace ferry::tokenizers {

void Vocabulary::reserve(size_t tokens, size_t bytes) {
  arena_.reserve(bytes);
  entries_.reserve(tokens);
  by_id_.reserve(tokens);
  grow(std::bit_ceil(2 * tokens + 16));
}

void Vocabulary::grow(size_t slots) {
  if (slots <= slots_.size()) return;
  slots_.assign(slots, {0, 0});
  for (size_t i = 0; i < entries_.size(); ++i) {
    const uint64_t hash = hash_bytes(text(entries_[i]));
    size_t at = hash & (slots - 1);
    while (slots_[at].entry != 0) at = (at + 1) & (slots - 1);
    slots_[at] = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(i + 1)};
  }
}

void Vocabulary::add(std::string_view token, uint64_t id) {
  if (id > kMaxTokenId) {
    throw Error(ErrorCode::invalid_file,
                fmt::format("the token \"{}\" has the id {}; the largest that is supported is {}",
                            printable(token, 60), id, kMaxTokenId));
  }
  if (arena_.size() + token.size() > (size_t{1} << 31))
    throw Error(ErrorCode::invalid_file, "the vocabulary is too long");
  if (2 * (entries_.size() + 1) > slots_.size()) grow(std::bit_ceil(4 * entries_.size() + 16));
  const uint64_t hash = hash_bytes(token);
  const auto tag = static_cast<uint32_t>(hash >> 32);
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].entry != 0) {
    const Slot& slot = slots_[at];
    if (slot.tag == tag && text(entries_[slot.entry - 1]) == token) break;
    at = (at + 1) & (slots_.size() - 1);
  }
  if (slots_[at].entry == 0) {
    entries_.push_back({static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(token.size()), 0});
    arena_.append(token);
    slots_[at] = {tag, static_cast<uint32_t>(entries_.size())};
  }
  entries_[slots_[at].entry - 1].id = static_cast<uint32_t>(id);
  if (id >= by_id_.size()) by_id_.resize(id + 1, 0);
  by_id_[id] = slots_[at].entry;
}

std::optional<uint32_t> Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return std::nullopt;
  const uint64_t hash = hash_bytes(token);
  const auto tag = static_cast<uint32_t>(hash >> 32);
  for (size_t at = hash & (slots_.size() - 1); slots_[at].entry != 0; at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.tag != tag) continue;
    const Entry& entry = entries_[slot.entry - 1];
    if (text(entry) == token) return entry.id;
  }
  return std::nullopt;
}

std::string_view Vocabulary::token(uint32_t id) const {
  if (id >= by_id_.size() || by_id_[id] == 0) return {};
  const std::string_view found = text(entries_[by_id_[id] - 1]);
  return found.data() == nullptr ? std::string_view("") : found;
}

}  // namespace ferry::tokenizers
