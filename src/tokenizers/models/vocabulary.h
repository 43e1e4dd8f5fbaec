#pragma once
// Tokens and their ids, both ways.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::tokenizers {

/// Ids are below this. The largest vocabularies have about a million.
inline constexpr uint32_t kMaxTokenId = (1u << 24) - 1;

class Vocabulary {
 public:
  void reserve(size_t tokens, size_t bytes);

  /// Adds a token. A token that is there already gets the new id; an id that is taken gets the new token.
  /// Errors: Error{invalid_file} if `id` or the total length is beyond what is supported.
  void add(std::string_view token, uint64_t id);

  [[nodiscard]] std::optional<uint32_t> find(std::string_view token) const;
  /// The token of an id; a view without data if there is none. Valid as long as the vocabulary is not
  /// changed.
  [[nodiscard]] std::string_view token(uint32_t id) const;
  /// How many different tokens there are.
  [[nodiscard]] size_t size() const { return entries_.size(); }
  /// One more than the largest id.
  [[nodiscard]] uint32_t id_end() const { return static_cast<uint32_t>(by_id_.size()); }

 private:
  struct Entry {
    uint32_t offset;
    uint32_t length;
    uint32_t id;
  };
  struct Slot {
    uint32_t tag;
    uint32_t entry;  // Index + 1; 0 is free.
  };
  [[nodiscard]] std::string_view text(const Entry& e) const { return {arena_.data() + e.offset, e.length}; }
  void grow(size_t slots);

  std::string arena_;
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> by_id_;  // Index into entries_ + 1.
};

}  // namespace ferry::tokenizers
