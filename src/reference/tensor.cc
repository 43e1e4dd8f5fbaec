#include "reference/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/large_pages.h"
#include "tensor/convert.h"

namespace ferry::reference {
namespace {

bool is_aligned(const std::byte* data) {
  return reinterpret_cast<uintptr_t>(data) % alignof(float) == 0;
}

Tensor from_bytes(DType dtype, const Dims& dims, std::span<const std::byte> bytes) {
  const auto count = static_cast<size_t>(element_count(dims));
  switch (kind_of(dtype)) {
    case Kind::integer: {
      Tensor out = Tensor::make<int64_t>(dims);
      const auto values = to_integers(bytes, dtype, count);
      std::copy(values.begin(), values.end(), out.edit<int64_t>().begin());
      return out;
    }
    case Kind::boolean: {
      Tensor out = Tensor::make<bool>(dims);
      std::transform(bytes.begin(), bytes.end(), out.edit<bool>().begin(),
                     [](std::byte value) { return value != std::byte{0}; });
      return out;
    }
    default: {
      Tensor out = Tensor::make<float>(dims);
      to_floats(bytes.data(), dtype, count, out.edit<float>().data());
      return out;
    }
  }
}

template <typename To>
void store(std::span<const int64_t> values, std::byte* out) {
  for (size_t i = 0; i < values.size(); ++i) {
    const To value = static_cast<To>(values[i]);
    std::memcpy(out + i * sizeof(To), &value, sizeof(To));
  }
}

void store_integers(std::span<const int64_t> values, DType dtype, std::byte* out) {
  switch (bits_of(dtype)) {
    case 8:
      return store<int8_t>(values, out);
    case 16:
      return store<int16_t>(values, out);
    case 32:
      return store<int32_t>(values, out);
    case 64:
      return store<int64_t>(values, out);
    default:
      throw Error(ErrorCode::unsupported,
                  fmt::format("the interpreter gives no results of type {}", to_string(dtype)));
  }
}

}  // namespace

Kind kind_of(DType dtype) {
  if (dtype == DType::boolean) return Kind::boolean;
  if (is_integer(dtype)) return Kind::integer;
  if (can_read_as_float(dtype)) return Kind::real;
  throw Error(ErrorCode::unsupported,
              fmt::format("the interpreter does not compute with elements of type {}", to_string(dtype)));
}

int64_t wrapped(int64_t value, DType dtype) {
  switch (dtype) {
    case DType::i8:
      return static_cast<int8_t>(value);
    case DType::i16:
      return static_cast<int16_t>(value);
    case DType::i32:
      return static_cast<int32_t>(value);
    case DType::u8:
      return static_cast<uint8_t>(value);
    case DType::u16:
      return static_cast<uint16_t>(value);
    case DType::u32:
      return static_cast<uint32_t>(value);
    case DType::boolean:
      return value != 0 ? 1 : 0;
    default:
      return value;
  }
}

std::shared_ptr<const void> Tensor::allocate(size_t bytes) {
  constexpr size_t kLarge = size_t{1} << 22;
  if (bytes < kLarge) return {std::malloc(std::max<size_t>(bytes, 1)), std::free};
  return {map_large_pages(bytes), [bytes](std::byte* memory) {
            if (memory != nullptr) unmap_large_pages(memory, bytes);
          }};
}

Tensor Tensor::from_host(const HostTensor& host) {
  host.check();
  return from_bytes(host.dtype, host.dims, host.bytes);
}

Tensor Tensor::from_weight(const Weight& weight) {
  const auto stored = weight.stored_bytes();
  if (!stored) return from_bytes(weight.dtype(), weight.dims(), weight.bytes());
  if (weight.dtype() == DType::f32 && is_aligned(stored->data()) && !stored->empty())
    return borrowed(weight.dims(), reinterpret_cast<const float*>(stored->data()));
  return from_bytes(weight.dtype(), weight.dims(), *stored);
}

Tensor Tensor::with_dims(Dims dims) const {
  check_internal(element_count(dims) == element_count(dims_),
                 fmt::format("{} seen as {}", to_string(dims_), to_string(dims)));
  return Tensor(kind_, std::move(dims), data_);
}

HostTensor Tensor::to_host(DType dtype) const {
  if (kind_ == Kind::real) {
    HostTensor out = HostTensor::zeros(DType::f32, dims_);
    std::copy_n(get<float>().begin(), count(), out.as<float>().begin());
    return out;
  }
  if (kind_ == Kind::boolean) {
    HostTensor out = HostTensor::zeros(DType::boolean, dims_);
    std::copy_n(get<bool>().begin(), count(), out.as<bool>().begin());
    return out;
  }
  HostTensor out = HostTensor::zeros(is_integer(dtype) ? dtype : DType::i64, dims_);
  store_integers(get<int64_t>(), out.dtype, out.bytes.data());
  return out;
}

size_t Tensor::checked_count(const Dims& dims, size_t element_bytes) {
  uint64_t count = 1;
  for (const int64_t dim : dims) {
    if (dim < 0) throw Error(ErrorCode::shape_mismatch, fmt::format("{} is no shape", to_string(dims)));
    const auto next = checked_mul(count, static_cast<uint64_t>(dim));
    require_memory(next.has_value(), dims);
    count = *next;
  }
  constexpr uint64_t kMostBytes = uint64_t{1} << 44;  // More than any machine has.
  require_memory(count <= kMostBytes / element_bytes, dims);
  return static_cast<size_t>(count);
}

void Tensor::require_memory(bool condition, const Dims& dims) {
  if (!condition)
    throw Error(ErrorCode::runtime, fmt::format("there is no memory for a tensor {}", to_string(dims)));
}

void Tensor::require_kind(Kind wanted) const {
  constexpr const char* kNames[] = {"floating", "integer", "boolean"};
  if (wanted != kind_) {
    throw Error(ErrorCode::dtype_mismatch,
                fmt::format("a {} tensor is wanted, not a {} one", kNames[static_cast<int>(wanted)],
                            kNames[static_cast<int>(kind_)]));
  }
}

}  // namespace ferry::reference
