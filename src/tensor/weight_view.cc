// Where stored bytes lie, and how they are read through strides.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "tensor/transpose.h"
#include "tensor/weight_node.h"

namespace ferry::weights {
namespace {

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

}  // namespace

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

bool View::is_row_major() const {
  if (bits_of(dtype) < 8 || count == 0) return true;
  const Dims want = row_major_strides(dims);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != 1 && strides[i] != want[i]) return false;
  }
  return true;
}

void View::drop_pages() const {
  uint64_t last = 0;  // Elements from the first to the last one that the view sees.
  for (size_t i = 0; i < strides.size() && count > 0; ++i)
    last += static_cast<uint64_t>(strides[i]) * static_cast<uint64_t>(dims[i] - 1);
  const uint64_t size = strides.empty() ? byte_size(dtype, count).value_or(0) : (last + 1) * bytes_of(dtype);
  source->drop_pages(offset, size);
}

void View::read(uint64_t first, uint64_t amount, std::byte* out) const {
  const std::byte* base = source->bytes().data() + offset;
  if (is_row_major()) {
    if (amount > 0) std::memcpy(out, base + first * bits_of(dtype) / 8, *byte_size(dtype, amount));
    return;
  }
  read_strided(base, first, amount, out);
}

void View::read_strided(const std::byte* base, uint64_t first, uint64_t amount, std::byte* out) const {
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

void View::copy_rows(size_t element, const std::byte* from, int64_t row_stride, int64_t column_stride,
                     int64_t rows, int64_t columns, std::byte* out) {
  const StridedMatrix matrix{from, rows, columns, row_stride, column_stride};
  if (column_stride > row_stride && element == 4) return copy_transposed_4(matrix, out);
  if (column_stride > row_stride && element == 2) return copy_transposed_2(matrix, out);
  for (int64_t r = 0; r < rows; ++r) {
    gather(element, from + static_cast<uint64_t>(r * row_stride) * element, column_stride,
           static_cast<uint64_t>(columns), out + static_cast<uint64_t>(r * columns) * element);
  }
}

uint64_t View::element_offset(uint64_t row) const {
  uint64_t at = 0;
  for (size_t i = dims.size() - 1; i-- > 0;) {
    const auto dim = static_cast<uint64_t>(dims[i]);
    at += row % dim * static_cast<uint64_t>(strides[i]);
    row /= dim;
  }
  return at;
}

std::string View::key() const {
  return fmt::format("v{}+{}:{}{}/{}", static_cast<const void*>(source.get()), offset, to_string(dtype),
                     fmt::join(dims, ","), fmt::join(strides, ","));
}

NodePtr View::transposed(std::span<const int64_t> perm) const {
  if (bits_of(dtype) < 8) return nullptr;
  auto out = std::make_shared<View>(*this);
  out->dims = permuted(dims, perm);
  out->strides = permuted(strides, perm);
  return out;
}

NodePtr View::sliced(size_t axis, int64_t begin, int64_t end) const {
  if (bits_of(dtype) < 8) return nullptr;
  auto out = std::make_shared<View>(*this);
  out->offset += static_cast<uint64_t>(begin * strides[axis]) * bytes_of(dtype);
  Dims next = dims;
  next[axis] = end - begin;
  set_shape(*out, dtype, std::move(next));
  return out;
}

NodePtr View::reshaped(const Dims& next) const {
  if (!is_row_major()) return nullptr;
  auto out = std::make_shared<View>(*this);
  out->dims = next;
  if (bits_of(dtype) >= 8) out->strides = row_major_strides(next);
  return out;
}

}  // namespace ferry::weights
