#pragma once
// Weights are promises: a Weight knows its dtype and shape and how to make its bytes, and makes none until it
// is asked for a range. Exporting a model therefore needs memory for ranges, not for tensors.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tensor/dtype.h"

namespace ferry {

using Dims = std::vector<int64_t>;

/// Number of elements; 1 for a scalar. Dims of a Weight are checked when it is made, so this cannot overflow.
int64_t element_count(std::span<const int64_t> dims);
/// "[2, 3]"
std::string to_string(std::span<const int64_t> dims);

/// Where stored bytes lie. Implementations are immutable and may be read from several threads.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// All bytes, in memory or mapped from a file. The view lives as long as the source.
  [[nodiscard]] virtual std::span<const std::byte> bytes() const = 0;
  /// The file whose content bytes() is, byte for byte; empty if there is none.
  [[nodiscard]] virtual std::filesystem::path file() const { return {}; }
  /// Lets go of memory that the bytes [offset, offset + length) take and that can be filled again.
  virtual void drop_pages(uint64_t /*offset*/, uint64_t /*length*/) const {}
};

std::shared_ptr<const ByteSource> memory_source(std::vector<std::byte> bytes);

/// Position of stored bytes in a file.
struct FileRange {
  std::filesystem::path file;
  uint64_t offset = 0;
  uint64_t length = 0;
};

/// An immutable, lazily computed tensor. Copies share the expression; all functions are const and
/// thread-safe.
class Weight {
 public:
  /// A row-major tensor at `offset` bytes of `source`.
  /// Errors: Error{invalid_file} if it does not lie within the source.
  static Weight stored(std::shared_ptr<const ByteSource> source, uint64_t offset, DType dtype, Dims dims);
  /// A view with strides counted in elements, as PyTorch stores them. Strides may be 0, never negative.
  /// Errors: Error{invalid_file} if any element would lie outside the source, or for 4-bit types.
  static Weight strided(std::shared_ptr<const ByteSource> source, uint64_t offset, DType dtype, Dims dims,
                        Dims strides);
  static Weight inline_bytes(DType dtype, Dims dims, std::vector<std::byte> bytes);
  static Weight from_i64(Dims dims, std::span<const int64_t> values);
  static Weight from_f32(Dims dims, std::span<const float> values);
  static Weight scalar(float value, DType dtype = DType::f32);
  static Weight scalar(int64_t value);
  static Weight zeros(DType dtype, Dims dims);
  /// A tensor whose elements [first, first + count), in row-major order, `read` writes to its last argument.
  /// `identity` tells two computed weights apart; equal identities mean equal bytes.
  static Weight computed(DType dtype, Dims dims, std::string identity,
                         std::function<void(uint64_t first, uint64_t count, std::byte* out)> read);

  [[nodiscard]] DType dtype() const;
  [[nodiscard]] const Dims& dims() const;
  [[nodiscard]] uint64_t count() const;
  [[nodiscard]] uint64_t size_bytes() const;

  // Each returns a new expression over the same bytes. Errors: Error{shape_mismatch} if the arguments do not
  // fit.
  [[nodiscard]] Weight transpose(std::span<const int64_t> perm) const;
  /// Reverses the last two dimensions.
  [[nodiscard]] Weight transpose() const;
  [[nodiscard]] Weight reshape(Dims dims) const;
  [[nodiscard]] Weight slice(size_t axis, int64_t begin, int64_t end) const;
  /// Between floating types, through f32 with one rounding to nearest even; from integers and booleans to
  /// f32. Errors: Error{dtype_mismatch} for pairs that would lose meaning.
  [[nodiscard]] Weight cast(DType dtype) const;
  /// The sum, element by element, rounded to the weights' dtype. Same floating dtype and dims.
  [[nodiscard]] Weight add(const Weight& other) const;
  /// Times a number, computed in f32, rounded to the weight's dtype.
  [[nodiscard]] Weight scale(float factor) const;
  static Weight concat(std::span<const Weight> parts, size_t axis);

  /// Writes elements [first, first + count), row-major, to `out`. For 4-bit types first and count are even.
  void read(uint64_t first, uint64_t count, std::byte* out) const;
  /// All bytes. For small weights.
  [[nodiscard]] std::vector<std::byte> bytes() const;
  [[nodiscard]] std::vector<int64_t> as_i64() const;  ///< Of any integer or boolean dtype.
  [[nodiscard]] std::vector<float> as_f32() const;    ///< Of any floating, integer or boolean dtype.

  /// Tells that the stored bytes are not needed for a while: pages of a mapped file are given back.
  void drop_pages() const;

  /// The stored bytes as they lie, if this weight is nothing but a row-major range of a source.
  [[nodiscard]] std::optional<std::span<const std::byte>> stored_bytes() const;
  /// Where they lie, if the source is a file.
  [[nodiscard]] std::optional<FileRange> file_range() const;
  /// If this weight is a permutation of such a range: the range's weight, and the permutation that gives this
  /// one back.
  [[nodiscard]] std::optional<std::pair<Weight, std::vector<int64_t>>> untransposed() const;
  /// Equal keys mean equal bytes, dtype and dims (the reverse does not hold).
  [[nodiscard]] std::string key() const;

  /// A node of the expression. Public for the files that define nodes only.
  struct Node;
  static Weight of(std::shared_ptr<const Node> node) { return Weight(std::move(node)); }
  [[nodiscard]] const std::shared_ptr<const Node>& node() const { return node_; }

 private:
  explicit Weight(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

}  // namespace ferry
