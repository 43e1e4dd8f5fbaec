#pragma once
// What the engine does with encodings: merging, cutting, padding.
#include <string_view>

#include "ferry/tokenizer.h"

namespace ferry::tokenizers {

/// How ids are written. Immutable; encodings keep it alive.
class TokenNames {
 public:
  virtual ~TokenNames() = default;
  /// A view without data if the id is unknown.
  [[nodiscard]] virtual std::string_view name(uint32_t id) const = 0;
};

/// The private parts of ferry::Encoding, for this layer.
struct EncodingAccess {
  using Range = Encoding::Range;
  static auto& names(Encoding& e) { return e.names_; }
  static auto& named(Encoding& e) { return e.named_; }
  static Range* sequences(Encoding& e) { return e.sequences_; }
};

/// The token at `index`, as a view while `e` is not changed.
std::string_view token_view(const Encoding& e, size_t index);

/// Says that all of `e` is text `sequence`.
void set_sequence(Encoding& e, int sequence);

/// Appends `pair`, and combines what both overflow. Source: tokenizers 0.22.2, encoding.rs merge_with().
/// Errors: Error{unsupported} if the combinations are absurdly many.
void merge(Encoding& e, Encoding&& pair);

/// Cuts to `max_length` tokens; the rest goes to e.overflowing. Errors: Error{usage} unless stride <
/// max_length.
void truncate(Encoding& e, size_t max_length, size_t stride, Side side);

struct PaddingParameters {
  std::optional<uint64_t> length;  ///< Unset: the longest of the batch.
  Side side = Side::right;
  std::optional<uint64_t> multiple_of;
  uint32_t id = 0;
  uint32_t type_id = 0;
  std::string token = "[PAD]";
};

struct TruncationParameters {
  uint64_t max_length = 512;
  Truncation strategy = Truncation::longest_first;
  uint64_t stride = 0;
  Side side = Side::right;
};

void pad(std::span<Encoding> encodings, const PaddingParameters& parameters);

/// Errors: Error{usage} if the strategy cannot reach the length.
void truncate(Encoding& first, Encoding* second, const TruncationParameters& parameters);

}  // namespace ferry::tokenizers
