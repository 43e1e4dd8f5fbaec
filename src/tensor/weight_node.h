#pragma once
// The nodes that the expression behind a Weight is made of. Private to weight*.cc and grouped*.cc.
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/weight.h"

namespace ferry {

// An expression node writes ranges of its own row-major order. Views fold transposes and slices into strides,
// so that a chain of them is one node; what strides cannot say nests.
struct Weight::Node {
  DType dtype = DType::undefined;
  Dims dims;
  uint64_t count = 0;

  virtual ~Node() = default;
  virtual void read(uint64_t first, uint64_t amount, std::byte* out) const = 0;
  [[nodiscard]] virtual std::string key() const = 0;
  virtual void drop_pages() const {}
  // Null where the node has no form of its own for the request; the caller then uses the general one.
  [[nodiscard]] virtual std::shared_ptr<const Node> transposed(std::span<const int64_t>) const {
    return nullptr;
  }
  [[nodiscard]] virtual std::shared_ptr<const Node> sliced(size_t, int64_t, int64_t) const { return nullptr; }
  [[nodiscard]] virtual std::shared_ptr<const Node> reshaped(const Dims&) const { return nullptr; }
};

namespace weights {
using Node = Weight::Node;
using NodePtr = std::shared_ptr<const Node>;

/// Errors: Error{shape_mismatch} for a negative dimension, or a size that does not fit 64 bits.
uint64_t checked_count(std::span<const int64_t> dims);
void set_shape(Node& node, DType dtype, Dims dims);
size_t bytes_of(DType dtype);  ///< Of an element of at least a byte.
Dims row_major_strides(const Dims& dims);
Dims permuted(const Dims& dims, std::span<const int64_t> perm);

// A range of a source, with strides.
struct View final : Node {
  std::shared_ptr<const ByteSource> source;
  uint64_t offset = 0;  // Bytes.
  Dims strides;         // Elements; empty for a 4-bit type, which is always row-major.

  [[nodiscard]] bool is_row_major() const;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override;
  void read_strided(const std::byte* base, uint64_t first, uint64_t amount, std::byte* out) const;
  static void copy_rows(size_t element, const std::byte* from, int64_t row_stride, int64_t column_stride,
                        int64_t rows, int64_t columns, std::byte* out);

  // Elements from the start of the view to the start of row `row` (all dimensions but the last, flattened).
  [[nodiscard]] uint64_t element_offset(uint64_t row) const;
  void drop_pages() const override;
  [[nodiscard]] std::string key() const override;
  [[nodiscard]] NodePtr transposed(std::span<const int64_t> perm) const override;
  [[nodiscard]] NodePtr sliced(size_t axis, int64_t begin, int64_t end) const override;
  [[nodiscard]] NodePtr reshaped(const Dims& next) const override;
};

// The same elements in the same order under other dimensions.
struct Reshaped final : Node {
  NodePtr child;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override;
  void drop_pages() const override { child->drop_pages(); }
  [[nodiscard]] std::string key() const override;
};

// Any permutation of a node that strides cannot express (an interleaved qkv matrix, transposed).
struct Permuted final : Node {
  NodePtr child;
  std::vector<int64_t> perm;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override;
  void drop_pages() const override { child->drop_pages(); }

  // The child's bytes, made once for a walk over all ranges and let go with the last of them: a reader that
  // asks for ranges in order holds one tensor at a time.
  [[nodiscard]] Weight evaluated(bool last) const;
  mutable std::mutex mutex;
  mutable std::optional<Weight> kept;

  [[nodiscard]] std::string key() const override;
};

struct Sliced final : Node {
  NodePtr child;
  size_t axis = 0;
  int64_t begin = 0;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override;
  void drop_pages() const override { child->drop_pages(); }
  [[nodiscard]] std::string key() const override;
};

struct Concatenated final : Node {
  std::vector<NodePtr> parts;
  size_t axis = 0;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override;
  void drop_pages() const override {
    for (const NodePtr& part : parts) part->drop_pages();
  }
  [[nodiscard]] std::string key() const override;
  [[nodiscard]] NodePtr transposed(std::span<const int64_t> perm) const override;
};

// Elements computed one by one from those of one or two children with the same dims.
struct Elementwise final : Node {
  std::vector<NodePtr> children;
  std::string what;  // For key().
  std::function<void(std::span<const std::byte* const> in, uint64_t amount, std::byte* out)> apply;

  void read(uint64_t first, uint64_t amount, std::byte* out) const override;
  void drop_pages() const override {
    for (const NodePtr& part : children) part->drop_pages();
  }
  [[nodiscard]] std::string key() const override;
  template <typename Move>
  [[nodiscard]] NodePtr moved(const Move& move) const {
    auto out = std::make_shared<Elementwise>(*this);
    for (auto& child : out->children) {
      child = move(*child);
      if (!child) return nullptr;
    }
    set_shape(*out, dtype, out->children.front()->dims);
    return out;
  }
  [[nodiscard]] NodePtr transposed(std::span<const int64_t> perm) const override;
  [[nodiscard]] NodePtr sliced(size_t axis, int64_t begin, int64_t end) const override;
  [[nodiscard]] NodePtr reshaped(const Dims& next) const override;
};

struct Computed final : Node {
  std::string identity;
  std::function<void(uint64_t, uint64_t, std::byte*)> reader;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override { reader(first, amount, out); }
  [[nodiscard]] std::string key() const override { return "f(" + identity + ")"; }
};

}  // namespace weights
}  // namespace ferry
