#pragma once
// The keys and values of earlier tokens, kept where ONNX Runtime reads and writes them.
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ort/binding.h"
#include "ort/session.h"

namespace ferry::generation {

/// Memory that grows and is not cleared.
class Buffer {
 public:
  /// At least `bytes`; what it held is lost if it grows.
  std::span<std::byte> take(size_t bytes);

 private:
  std::unique_ptr<std::byte[]> memory_;
  size_t size_ = 0;
};

/// Two sets of buffers for each past input of a graph: a step reads one and writes the other, and they change
/// places; nothing is copied but by reorder(). Of a graph that allows it (exporter/decoder_cache.h) past and
/// present are the same buffers, with room for more tokens than there are, and a step writes its own alone.
class KvCache {
 public:
  /// Finds the inputs past_key_values.* of `session` and checks that it has a fitting output present.* for
  /// each. `shared`: whether past and present are the same buffers. Errors: Error{unsupported} for a layout
  /// other than [batch, heads, tokens, size], Error{invalid_file} for an input without its output.
  KvCache(const ort::Session& session, bool shared);

  /// False if the graph has no cache.
  [[nodiscard]] bool exists() const { return !entries_.empty(); }
  [[nodiscard]] size_t length() const { return length_; }  ///< Tokens.

  /// Binds past and present of a run over `tokens` more tokens in `rows` rows.
  void bind(ort::Binding& binding, size_t rows, size_t tokens);
  /// After that run.
  void advance(size_t rows, size_t tokens);
  /// Row r becomes what row rows[r] was.
  void reorder(std::span<const size_t> rows);

 private:
  struct Entry {
    std::string past, present;
    DType dtype;
    int64_t heads, size;
    Buffer buffers[2];
  };
  [[nodiscard]] size_t bytes_of(const Entry& entry, size_t rows, size_t tokens) const;
  // How many tokens lie between one head and the next.
  [[nodiscard]] size_t pitch() const { return shared_ ? room_ : length_; }
  // Row r of the other buffers becomes row rows[r] of these; they change places.
  void move(std::span<const size_t> rows, size_t pitch);
  void make_room(size_t rows, size_t tokens);
  [[nodiscard]] ort::OrtTensor view(Entry& entry, size_t side, size_t rows, size_t tokens);

  const ort::Runtime& runtime_;
  bool shared_;
  std::vector<Entry> entries_;
  size_t length_ = 0;
  size_t rows_ = 0;
  size_t room_ = 0;  // Tokens that shared buffers are long.
  size_t side_ = 0;  // Which buffers hold the past.
};

}  // namespace ferry::generation
