#include "tensor/weight.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "tensor/convert.h"
#include "tensor/weight_node.h"

namespace ferry {
using namespace weights;  // NOLINT: what expressions are made of.

namespace {

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::span<const std::byte> bytes() const override { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
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
  out->apply = [from, to](std::span<const std::byte* const> in, uint64_t amount, std::byte* bytes) {
    if (to == DType::f32) return to_floats(in[0], from, amount, reinterpret_cast<float*>(bytes));
    std::vector<float> floats(amount);
    to_floats(in[0], from, amount, floats.data());
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
  out->apply = [type = dtype()](std::span<const std::byte* const> in, uint64_t amount, std::byte* bytes) {
    std::vector<float> a(amount), b(amount);
    to_floats(in[0], type, amount, a.data());
    to_floats(in[1], type, amount, b.data());
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
  out->apply = [type = dtype(), factor](std::span<const std::byte* const> in, uint64_t amount,
                                        std::byte* bytes) {
    std::vector<float> a(amount);
    to_floats(in[0], type, amount, a.data());
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

void Weight::drop_pages() const {
  node_->drop_pages();
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
