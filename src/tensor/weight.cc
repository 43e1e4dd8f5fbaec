#include "tensor/weight.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "tensor/convert.h"
#include "tensor/transpose.h"

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
  // Null where the node has no form of its own for the request; the caller then uses the general one.
  [[nodiscard]] virtual std::shared_ptr<const Node> transposed(std::span<const int64_t>) const {
    return nullptr;
  }
  [[nodiscard]] virtual std::shared_ptr<const Node> sliced(size_t, int64_t, int64_t) const { return nullptr; }
  [[nodiscard]] virtual std::shared_ptr<const Node> reshaped(const Dims&) const { return nullptr; }
};

namespace {
using Node = Weight::Node;
using NodePtr = std::shared_ptr<const Node>;

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::span<const std::byte> bytes() const override { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

uint64_t checked_count(std::span<const int64_t> dims) {
  uint64_t count = 1;
  bool empty = false;
  for (const int64_t dim : dims) {
    if (dim < 0)
      throw Error(ErrorCode::shape_mismatch, fmt::format("negative dimension in {}", to_string(dims)));
    if (dim == 0) empty = true;
  }
  if (empty) return 0;
  for (const int64_t dim : dims) {
    const auto next = checked_mul(count, static_cast<uint64_t>(dim));
    if (!next || *next > (uint64_t{1} << 62)) {
      throw Error(ErrorCode::shape_mismatch,
                  fmt::format("the size of {} does not fit 64 bits", to_string(dims)));
    }
    count = *next;
  }
  return count;
}

void set_shape(Node& node, DType dtype, Dims dims) {
  node.dtype = dtype;
  node.count = checked_count(dims);
  node.dims = std::move(dims);
}

size_t bytes_of(DType dtype) {
  return bits_of(dtype) / 8;
}

Dims row_major_strides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

Dims permuted(const Dims& dims, std::span<const int64_t> perm) {
  Dims out;
  for (const int64_t axis : perm) out.push_back(dims[static_cast<size_t>(axis)]);
  return out;
}

// Copies `count` elements that lie `stride` elements apart.
template <typename T>
void gather(const std::byte* from, int64_t stride, uint64_t count, std::byte* out) {
  for (uint64_t i = 0; i < count; ++i) {
    std::memcpy(out + i * sizeof(T),
                from + static_cast<int64_t>(i) * stride * static_cast<int64_t>(sizeof(T)), sizeof(T));
  }
}

void gather(size_t element, const std::byte* from, int64_t stride, uint64_t count, std::byte* out) {
  if (stride == 1) {
    std::memcpy(out, from, count * element);
    return;
  }
  switch (element) {
    case 1:
      return gather<uint8_t>(from, stride, count, out);
    case 2:
      return gather<uint16_t>(from, stride, count, out);
    case 4:
      return gather<uint32_t>(from, stride, count, out);
    case 8:
      return gather<uint64_t>(from, stride, count, out);
    default:
      for (uint64_t i = 0; i < count; ++i) {
        std::memcpy(out + i * element,
                    from + static_cast<int64_t>(i) * stride * static_cast<int64_t>(element), element);
      }
  }
}

struct View final : Node {
  std::shared_ptr<const ByteSource> source;
  uint64_t offset = 0;  // Bytes.
  Dims strides;         // Elements; empty for a 4-bit type, which is always row-major.

  [[nodiscard]] bool is_row_major() const {
    if (bits_of(dtype) < 8 || count == 0) return true;
    const Dims want = row_major_strides(dims);
    for (size_t i = 0; i < dims.size(); ++i) {
      if (dims[i] != 1 && strides[i] != want[i]) return false;
    }
    return true;
  }

  void read(uint64_t first, uint64_t amount, std::byte* out) const override {
    const std::byte* base = source->bytes().data() + offset;
    if (is_row_major()) {
      if (amount > 0) std::memcpy(out, base + first * bits_of(dtype) / 8, *byte_size(dtype, amount));
      return;
    }
    read_strided(base, first, amount, out);
  }

  void read_strided(const std::byte* base, uint64_t first, uint64_t amount, std::byte* out) const {
    const size_t element = bytes_of(dtype);
    const size_t rank = dims.size();
    const int64_t columns = dims[rank - 1];
    const int64_t column_stride = strides[rank - 1];
    while (amount > 0) {
      const auto column = static_cast<int64_t>(first % static_cast<uint64_t>(columns));
      uint64_t row = first / static_cast<uint64_t>(columns);
      // Whole rows of the last two dimensions go through the blocked copy, pieces of a row through gather.
      int64_t rows = 1;
      if (column == 0 && rank >= 2) {
        const auto inner = static_cast<uint64_t>(dims[rank - 2]);
        rows = static_cast<int64_t>(std::min(amount / static_cast<uint64_t>(columns), inner - row % inner));
      }
      const std::byte* from =
          base + element_offset(row) * element + static_cast<uint64_t>(column * column_stride) * element;
      uint64_t done = 0;
      if (rows >= 2) {
        copy_rows(element, from, strides[rank - 2], column_stride, rows, columns, out);
        done = static_cast<uint64_t>(rows * columns);
      } else {
        done = std::min(amount, static_cast<uint64_t>(columns - column));
        gather(element, from, column_stride, done, out);
      }
      out += done * element;
      first += done;
      amount -= done;
    }
  }

  static void copy_rows(size_t element, const std::byte* from, int64_t row_stride, int64_t column_stride,
                        int64_t rows, int64_t columns, std::byte* out) {
    const StridedMatrix matrix{from, rows, columns, row_stride, column_stride};
    if (column_stride > row_stride && element == 4) return copy_transposed_4(matrix, out);
    if (column_stride > row_stride && element == 2) return copy_transposed_2(matrix, out);
    for (int64_t r = 0; r < rows; ++r) {
      gather(element, from + static_cast<uint64_t>(r * row_stride) * element, column_stride,
             static_cast<uint64_t>(columns), out + static_cast<uint64_t>(r * columns) * element);
    }
  }

  // Elements from the start of the view to the start of row `row` (all dimensions but the last, flattened).
  [[nodiscard]] uint64_t element_offset(uint64_t row) const {
    uint64_t at = 0;
    for (size_t i = dims.size() - 1; i-- > 0;) {
      const auto dim = static_cast<uint64_t>(dims[i]);
      at += row % dim * static_cast<uint64_t>(strides[i]);
      row /= dim;
    }
    return at;
  }

  [[nodiscard]] std::string key() const override {
    return fmt::format("v{}+{}:{}{}/{}", static_cast<const void*>(source.get()), offset, to_string(dtype),
                       fmt::join(dims, ","), fmt::join(strides, ","));
  }

  [[nodiscard]] NodePtr transposed(std::span<const int64_t> perm) const override {
    if (bits_of(dtype) < 8) return nullptr;
    auto out = std::make_shared<View>(*this);
    out->dims = permuted(dims, perm);
    out->strides = permuted(strides, perm);
    return out;
  }

  [[nodiscard]] NodePtr sliced(size_t axis, int64_t begin, int64_t end) const override {
    if (bits_of(dtype) < 8) return nullptr;
    auto out = std::make_shared<View>(*this);
    out->offset += static_cast<uint64_t>(begin * strides[axis]) * bytes_of(dtype);
    Dims next = dims;
    next[axis] = end - begin;
    set_shape(*out, dtype, std::move(next));
    return out;
  }

  [[nodiscard]] NodePtr reshaped(const Dims& next) const override {
    if (!is_row_major()) return nullptr;
    auto out = std::make_shared<View>(*this);
    out->dims = next;
    if (bits_of(dtype) >= 8) out->strides = row_major_strides(next);
    return out;
  }
};

// The same elements in the same order under other dimensions.
struct Reshaped final : Node {
  NodePtr child;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override {
    child->read(first, amount, out);
  }
  [[nodiscard]] std::string key() const override {
    return fmt::format("r({}|{})", child->key(), fmt::join(dims, ","));
  }
};

// Any permutation of a node that strides cannot express (an interleaved qkv matrix, transposed).
struct Permuted final : Node {
  NodePtr child;
  std::vector<int64_t> perm;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override {
    const Weight whole = evaluated(first + amount == count);
    whole.transpose(perm).read(first, amount, out);
  }

  // The child's bytes, made once for a walk over all ranges and let go with the last of them: a reader that asks for
  // ranges in order holds one tensor at a time.
  [[nodiscard]] Weight evaluated(bool last) const {
    const std::lock_guard lock(mutex);
    if (!kept) {
      std::vector<std::byte> all(*byte_size(dtype, child->count));
      child->read(0, child->count, all.data());
      kept = Weight::stored(memory_source(std::move(all)), 0, dtype, child->dims);
    }
    Weight out = *kept;
    if (last) kept.reset();
    return out;
  }
  mutable std::mutex mutex;
  mutable std::optional<Weight> kept;

  [[nodiscard]] std::string key() const override {
    return fmt::format("p({}|{})", child->key(), fmt::join(perm, ","));
  }
};

struct Sliced final : Node {
  NodePtr child;
  size_t axis = 0;
  int64_t begin = 0;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override {
    uint64_t inner = 1;
    for (size_t i = axis + 1; i < dims.size(); ++i) inner *= static_cast<uint64_t>(dims[i]);
    const uint64_t run = inner * static_cast<uint64_t>(dims[axis]);
    const uint64_t child_run = inner * static_cast<uint64_t>(child->dims[axis]);
    while (amount > 0) {
      const uint64_t within = first % run;
      const uint64_t done = std::min(amount, run - within);
      child->read(first / run * child_run + static_cast<uint64_t>(begin) * inner + within, done, out);
      out += *byte_size(dtype, done);
      first += done;
      amount -= done;
    }
  }
  [[nodiscard]] std::string key() const override {
    return fmt::format("s({}|{},{}|{})", child->key(), axis, begin, fmt::join(dims, ","));
  }
};

struct Concatenated final : Node {
  std::vector<NodePtr> parts;
  size_t axis = 0;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override {
    uint64_t inner = 1;
    for (size_t i = axis + 1; i < dims.size(); ++i) inner *= static_cast<uint64_t>(dims[i]);
    const uint64_t run = inner * static_cast<uint64_t>(dims[axis]);
    while (amount > 0) {
      const uint64_t outer = first / run;
      uint64_t within = first % run;
      for (const NodePtr& part : parts) {
        const uint64_t part_run = inner * static_cast<uint64_t>(part->dims[axis]);
        if (within >= part_run) {
          within -= part_run;
          continue;
        }
        const uint64_t done = std::min(amount, part_run - within);
        part->read(outer * part_run + within, done, out);
        out += *byte_size(dtype, done);
        first += done;
        amount -= done;
        break;
      }
    }
  }
  [[nodiscard]] std::string key() const override {
    std::string out = fmt::format("c{}(", axis);
    for (const auto& part : parts) out += part->key() + ";";
    return out + ")";
  }
  [[nodiscard]] NodePtr transposed(std::span<const int64_t> perm) const override {
    auto out = std::make_shared<Concatenated>();
    for (const auto& part : parts) {
      auto moved = part->transposed(perm);
      if (!moved) return nullptr;
      out->parts.push_back(std::move(moved));
    }
    out->axis =
        static_cast<size_t>(std::find(perm.begin(), perm.end(), static_cast<int64_t>(axis)) - perm.begin());
    set_shape(*out, dtype, permuted(dims, perm));
    return out;
  }
};

// Elements computed one by one from those of one or two children with the same dims.
struct Elementwise final : Node {
  std::vector<NodePtr> children;
  std::string what;  // For key().
  std::function<void(const std::vector<std::vector<std::byte>>& in, uint64_t amount, std::byte* out)> apply;

  void read(uint64_t first, uint64_t amount, std::byte* out) const override {
    constexpr uint64_t kTile = 16384;
    std::vector<std::vector<std::byte>> in(children.size());
    while (amount > 0) {
      const uint64_t tile = std::min(amount, kTile);
      for (size_t i = 0; i < children.size(); ++i) {
        in[i].resize(*byte_size(children[i]->dtype, tile));
        children[i]->read(first, tile, in[i].data());
      }
      apply(in, tile, out);
      out += *byte_size(dtype, tile);
      first += tile;
      amount -= tile;
    }
  }
  [[nodiscard]] std::string key() const override {
    std::string out = what + "(";
    for (const auto& child : children) out += child->key() + ";";
    return out + ")" + std::string(to_string(dtype));
  }
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
  [[nodiscard]] NodePtr transposed(std::span<const int64_t> perm) const override {
    return moved([&](const Node& child) { return child.transposed(perm); });
  }
  [[nodiscard]] NodePtr sliced(size_t axis, int64_t begin, int64_t end) const override {
    return moved([&](const Node& child) { return child.sliced(axis, begin, end); });
  }
  [[nodiscard]] NodePtr reshaped(const Dims& next) const override {
    return moved([&](const Node& child) { return child.reshaped(next); });
  }
};

struct Computed final : Node {
  std::string identity;
  std::function<void(uint64_t, uint64_t, std::byte*)> reader;
  void read(uint64_t first, uint64_t amount, std::byte* out) const override { reader(first, amount, out); }
  [[nodiscard]] std::string key() const override { return "f(" + identity + ")"; }
};

}  // namespace

int64_t element_count(std::span<const int64_t> dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

std::string to_string(std::span<const int64_t> dims) {
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

std::shared_ptr<const ByteSource> memory_source(std::vector<std::byte> bytes) {
  return std::make_shared<MemorySource>(std::move(bytes));
}

Weight Weight::stored(std::shared_ptr<const ByteSource> source, uint64_t offset, DType dtype, Dims dims) {
  auto view = std::make_shared<View>();
  set_shape(*view, dtype, std::move(dims));
  if (bits_of(dtype) >= 8) view->strides = row_major_strides(view->dims);
  const auto size = byte_size(dtype, view->count);
  const auto end = size ? checked_add(offset, *size) : std::nullopt;
  if (!end || *end > source->bytes().size()) {
    throw Error(ErrorCode::invalid_file,
                fmt::format("a tensor {}{} at byte {} does not lie within the {} bytes there are",
                            to_string(dtype), to_string(view->dims), offset, source->bytes().size()));
  }
  view->source = std::move(source);
  view->offset = offset;
  return Weight(view);
}

Weight Weight::strided(std::shared_ptr<const ByteSource> source, uint64_t offset, DType dtype, Dims dims,
                       Dims strides) {
  auto view = std::make_shared<View>();
  set_shape(*view, dtype, std::move(dims));
  if (bits_of(dtype) < 8 || strides.size() != view->dims.size()) {
    throw Error(ErrorCode::invalid_file,
                fmt::format("strides {} do not fit a tensor {}{}", to_string(strides), to_string(dtype),
                            to_string(view->dims)));
  }
  uint64_t last = 0;
  bool fits = true;
  for (size_t i = 0; i < strides.size() && view->count > 0; ++i) {
    const auto reach = strides[i] < 0 ? std::nullopt
                                      : checked_mul(static_cast<uint64_t>(strides[i]),
                                                    static_cast<uint64_t>(view->dims[i] - 1));
    const auto sum = reach ? checked_add(last, *reach) : std::nullopt;
    fits = fits && sum.has_value();
    if (sum) last = *sum;
  }
  const auto elements = checked_add(last, view->count > 0 ? 1 : 0);
  const auto size = elements ? checked_mul(*elements, bytes_of(dtype)) : std::nullopt;
  const auto end = size ? checked_add(offset, *size) : std::nullopt;
  if (!fits || !end || *end > source->bytes().size()) {
    throw Error(
        ErrorCode::invalid_file,
        fmt::format("a tensor {}{} with strides {} at byte {} does not lie within the {} bytes there are",
                    to_string(dtype), to_string(view->dims), to_string(strides), offset,
                    source->bytes().size()));
  }
  view->source = std::move(source);
  view->offset = offset;
  view->strides = std::move(strides);
  return Weight(view);
}

Weight Weight::inline_bytes(DType dtype, Dims dims, std::vector<std::byte> bytes) {
  return stored(memory_source(std::move(bytes)), 0, dtype, std::move(dims));
}

Weight Weight::from_i64(Dims dims, std::span<const int64_t> values) {
  const auto bytes = std::as_bytes(values);
  return inline_bytes(DType::i64, std::move(dims), {bytes.begin(), bytes.end()});
}

Weight Weight::from_f32(Dims dims, std::span<const float> values) {
  const auto bytes = std::as_bytes(values);
  return inline_bytes(DType::f32, std::move(dims), {bytes.begin(), bytes.end()});
}

Weight Weight::scalar(float value, DType dtype) {
  std::vector<std::byte> bytes(bytes_of(dtype));
  from_floats(std::span(&value, 1), dtype, bytes.data());
  return inline_bytes(dtype, {}, std::move(bytes));
}

Weight Weight::scalar(int64_t value) {
  return from_i64({}, std::span(&value, 1));
}

Weight Weight::zeros(DType dtype, Dims dims) {
  const size_t element = bits_of(dtype);
  std::string identity = fmt::format("zeros{}{}", to_string(dtype), to_string(dims));
  return computed(dtype, std::move(dims), std::move(identity),
                  [element](uint64_t, uint64_t count, std::byte* out) {
                    std::memset(out, 0, (count * element + 7) / 8);
                  });
}

Weight Weight::computed(DType dtype, Dims dims, std::string identity,
                        std::function<void(uint64_t, uint64_t, std::byte*)> read) {
  auto node = std::make_shared<Computed>();
  set_shape(*node, dtype, std::move(dims));
  node->identity = std::move(identity);
  node->reader = std::move(read);
  return Weight(node);
}

DType Weight::dtype() const {
  return node_->dtype;
}
const Dims& Weight::dims() const {
  return node_->dims;
}
uint64_t Weight::count() const {
  return node_->count;
}
uint64_t Weight::size_bytes() const {
  return byte_size(node_->dtype, node_->count).value_or(0);
}

Weight Weight::transpose(std::span<const int64_t> perm) const {
  std::vector<int64_t> sorted(perm.begin(), perm.end());
  std::sort(sorted.begin(), sorted.end());
  bool valid = sorted.size() == dims().size();
  for (size_t i = 0; valid && i < sorted.size(); ++i) valid = sorted[i] == static_cast<int64_t>(i);
  if (!valid)
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("permutation {} does not fit {}", to_string(perm), to_string(dims())));
  if (auto moved = node_->transposed(perm)) return Weight(moved);
  auto out = std::make_shared<Permuted>();
  out->child = node_;
  out->perm.assign(perm.begin(), perm.end());
  set_shape(*out, dtype(), permuted(dims(), perm));
  return Weight(out);
}

Weight Weight::transpose() const {
  const size_t rank = dims().size();
  if (rank < 2) throw Error(ErrorCode::shape_mismatch, fmt::format("cannot transpose {}", to_string(dims())));
  std::vector<int64_t> perm(rank);
  for (size_t i = 0; i < rank; ++i) perm[i] = static_cast<int64_t>(i);
  std::swap(perm[rank - 1], perm[rank - 2]);
  return transpose(perm);
}

Weight Weight::reshape(Dims next) const {
  if (checked_count(next) != count()) {
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("cannot reshape {} to {}", to_string(dims()), to_string(next)));
  }
  if (auto moved = node_->reshaped(next)) return Weight(moved);
  auto out = std::make_shared<Reshaped>();
  out->child = node_;
  set_shape(*out, dtype(), std::move(next));
  return Weight(out);
}

Weight Weight::slice(size_t axis, int64_t begin, int64_t end) const {
  if (axis >= dims().size() || begin < 0 || end < begin || end > dims()[axis]) {
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("cannot take [{}, {}) of axis {} of {}", begin, end, axis, to_string(dims())));
  }
  if (auto moved = node_->sliced(axis, begin, end)) return Weight(moved);
  auto out = std::make_shared<Sliced>();
  out->child = node_;
  out->axis = axis;
  out->begin = begin;
  Dims next = dims();
  next[axis] = end - begin;
  set_shape(*out, dtype(), std::move(next));
  return Weight(out);
}

Weight Weight::cast(DType to) const {
  const DType from = dtype();
  if (from == to) return *this;
  if (!can_read_as_float(from) || !is_floating(to)) {
    throw Error(ErrorCode::dtype_mismatch,
                fmt::format("cannot convert weights from {} to {}", to_string(from), to_string(to)));
  }
  auto out = std::make_shared<Elementwise>();
  out->children = {node_};
  out->what = "cast";
  out->apply = [from, to](const std::vector<std::vector<std::byte>>& in, uint64_t amount, std::byte* bytes) {
    if (to == DType::f32) return to_floats(in[0].data(), from, amount, reinterpret_cast<float*>(bytes));
    std::vector<float> floats(amount);
    to_floats(in[0].data(), from, amount, floats.data());
    from_floats(floats, to, bytes);
  };
  set_shape(*out, to, dims());
  return Weight(out);
}

Weight Weight::add(const Weight& other) const {
  if (dtype() != other.dtype() || !is_floating(dtype()) || dims() != other.dims()) {
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("cannot add {}{} and {}{}", to_string(dtype()), to_string(dims()),
                            to_string(other.dtype()), to_string(other.dims())));
  }
  auto out = std::make_shared<Elementwise>();
  out->children = {node_, other.node_};
  out->what = "add";
  out->apply = [type = dtype()](const std::vector<std::vector<std::byte>>& in, uint64_t amount,
                                std::byte* bytes) {
    std::vector<float> a(amount), b(amount);
    to_floats(in[0].data(), type, amount, a.data());
    to_floats(in[1].data(), type, amount, b.data());
    for (uint64_t i = 0; i < amount; ++i) a[i] += b[i];
    from_floats(a, type, bytes);
  };
  set_shape(*out, dtype(), dims());
  return Weight(out);
}

Weight Weight::scale(float factor) const {
  if (!is_floating(dtype()))
    throw Error(ErrorCode::dtype_mismatch,
                fmt::format("cannot scale weights of type {}", to_string(dtype())));
  auto out = std::make_shared<Elementwise>();
  out->children = {node_};
  out->what = fmt::format("scale{:a}", factor);
  out->apply = [type = dtype(), factor](const std::vector<std::vector<std::byte>>& in, uint64_t amount,
                                        std::byte* bytes) {
    std::vector<float> a(amount);
    to_floats(in[0].data(), type, amount, a.data());
    for (float& value : a) value *= factor;
    from_floats(a, type, bytes);
  };
  set_shape(*out, dtype(), dims());
  return Weight(out);
}

Weight Weight::concat(std::span<const Weight> parts, size_t axis) {
  if (parts.empty()) throw Error(ErrorCode::shape_mismatch, "nothing to concatenate");
  auto out = std::make_shared<Concatenated>();
  Dims dims = parts[0].dims();
  if (axis >= dims.size())
    throw Error(ErrorCode::shape_mismatch, fmt::format("no axis {} in {}", axis, to_string(dims)));
  dims[axis] = 0;
  for (const Weight& part : parts) {
    Dims rest = part.dims();
    if (rest.size() == dims.size()) rest[axis] = dims[axis];
    const bool same = rest == dims && part.dtype() == parts[0].dtype();
    if (!same) {
      throw Error(
          ErrorCode::shape_mismatch,
          fmt::format("cannot concatenate {}{} and {}{} along axis {}", to_string(parts[0].dtype()),
                      to_string(parts[0].dims()), to_string(part.dtype()), to_string(part.dims()), axis));
    }
    dims[axis] += part.dims()[axis];
    out->parts.push_back(part.node_);
  }
  out->axis = axis;
  set_shape(*out, parts[0].dtype(), std::move(dims));
  return Weight(out);
}

void Weight::read(uint64_t first, uint64_t amount, std::byte* out) const {
  check_internal(amount <= count() && first <= count() - amount, "a weight was read past its end");
  if (amount > 0) node_->read(first, amount, out);
}

std::vector<std::byte> Weight::bytes() const {
  std::vector<std::byte> out(size_bytes());
  read(0, count(), out.data());
  return out;
}

std::vector<int64_t> Weight::as_i64() const {
  return to_integers(bytes(), dtype(), count());
}

std::vector<float> Weight::as_f32() const {
  std::vector<float> out(count());
  to_floats(bytes().data(), dtype(), count(), out.data());
  return out;
}

std::optional<std::span<const std::byte>> Weight::stored_bytes() const {
  const auto* view = dynamic_cast<const View*>(node_.get());
  if (view == nullptr || !view->is_row_major()) return std::nullopt;
  return view->source->bytes().subspan(view->offset, size_bytes());
}

std::optional<FileRange> Weight::file_range() const {
  const auto* view = dynamic_cast<const View*>(node_.get());
  if (view == nullptr || !view->is_row_major() || view->source->file().empty()) return std::nullopt;
  return FileRange{view->source->file(), view->offset, size_bytes()};
}

std::optional<std::pair<Weight, std::vector<int64_t>>> Weight::untransposed() const {
  const auto* view = dynamic_cast<const View*>(node_.get());
  if (view == nullptr || bits_of(dtype()) < 8) return std::nullopt;
  // Axes from the farthest apart to the nearest are the order in which the bytes lie.
  std::vector<int64_t> order(dims().size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return view->strides[static_cast<size_t>(a)] > view->strides[static_cast<size_t>(b)];
  });
  Weight straight = transpose(order);
  if (!straight.stored_bytes()) return std::nullopt;
  std::vector<int64_t> back(order.size());
  for (size_t i = 0; i < order.size(); ++i) back[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  return std::pair(std::move(straight), std::move(back));
}

std::string Weight::key() const {
  return fmt::format("{}{}", node_->key(), fmt::join(dims(), ","));
}

}  // namespace ferry
