#pragma once
// A decoder with its cache, as the search loops see it. Decoders alone and those with an encoder implement
// it.
#include <cstddef>
#include <cstdint>
#include <span>

namespace ferry::generation {

class Decoder {
 public:
  virtual ~Decoder() = default;

  /// Appends the same number of tokens to each of `rows` rows (ids is [rows, n]), and gives the logits after
  /// the last of them, [rows, vocabulary]. They may be changed, and are valid until the next call.
  virtual std::span<float> step(std::span<const int64_t> ids, size_t rows) = 0;

  /// Row r becomes what row rows[r] was; there may be more or fewer rows than before.
  virtual void reorder(std::span<const size_t> rows) = 0;
};

}  // namespace ferry::generation
