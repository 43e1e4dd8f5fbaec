#include "tensor/host_tensor.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "tensor/convert.h"

namespace ferry {
namespace {

// The bytes that a tensor takes; dims come from callers and files alike.
size_t checked_bytes(DType dtype, const Dims& dims) {
  uint64_t count = 1;
  for (const int64_t dim : dims) {
    const auto next = dim < 0 ? std::nullopt : checked_mul(count, static_cast<uint64_t>(dim));
    if (!next) throw Error(ErrorCode::shape_mismatch, fmt::format("{} is no shape", to_string(dims)));
    count = *next;
  }
  const auto size = byte_size(dtype, count);
  if (!size) {
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("a tensor {}{} has no size in bytes", to_string(dtype), to_string(dims)));
  }
  return static_cast<size_t>(*size);
}

template <typename T, typename Values>
HostTensor filled(DType dtype, Dims dims, const Values& values) {
  HostTensor out = HostTensor::zeros(dtype, std::move(dims));
  if (out.count() != values.size()) {
    throw Error(ErrorCode::shape_mismatch,
                fmt::format("{} values for a tensor {}", values.size(), out.describe()));
  }
  auto to = out.as<T>();
  for (size_t i = 0; i < values.size(); ++i) to[i] = values[i];
  return out;
}

}  // namespace

template <>
bool holds<float>(DType dtype) {
  return dtype == DType::f32;
}
template <>
bool holds<double>(DType dtype) {
  return dtype == DType::f64;
}
template <>
bool holds<int8_t>(DType dtype) {
  return dtype == DType::i8;
}
template <>
bool holds<int16_t>(DType dtype) {
  return dtype == DType::i16;
}
template <>
bool holds<int32_t>(DType dtype) {
  return dtype == DType::i32;
}
template <>
bool holds<int64_t>(DType dtype) {
  return dtype == DType::i64;
}
template <>
bool holds<uint8_t>(DType dtype) {
  return dtype == DType::u8 || dtype == DType::boolean || dtype == DType::f8_e4m3fn ||
         dtype == DType::f8_e5m2 || dtype == DType::f8_e8m0 || dtype == DType::f8_e4m3fnuz ||
         dtype == DType::f8_e5m2fnuz;
}
template <>
bool holds<uint16_t>(DType dtype) {
  return dtype == DType::u16 || dtype == DType::f16 || dtype == DType::bf16;
}
template <>
bool holds<uint32_t>(DType dtype) {
  return dtype == DType::u32;
}
template <>
bool holds<uint64_t>(DType dtype) {
  return dtype == DType::u64;
}
template <>
bool holds<bool>(DType dtype) {
  return dtype == DType::boolean;
}

HostTensor HostTensor::zeros(DType dtype, Dims dims) {
  HostTensor out;
  out.dtype = dtype;
  out.bytes.resize(checked_bytes(dtype, dims));
  out.dims = std::move(dims);
  return out;
}

HostTensor HostTensor::f32(Dims dims, const std::vector<float>& values) {
  return filled<float>(DType::f32, std::move(dims), values);
}
HostTensor HostTensor::i64(Dims dims, const std::vector<int64_t>& values) {
  return filled<int64_t>(DType::i64, std::move(dims), values);
}
HostTensor HostTensor::i32(Dims dims, const std::vector<int32_t>& values) {
  return filled<int32_t>(DType::i32, std::move(dims), values);
}
HostTensor HostTensor::boolean(Dims dims, const std::vector<bool>& values) {
  return filled<bool>(DType::boolean, std::move(dims), values);
}

HostTensor HostTensor::text(Dims dims, std::vector<std::string> values) {
  HostTensor out;
  out.dtype = DType::string;
  out.dims = std::move(dims);
  out.strings = std::move(values);
  out.check();
  return out;
}

HostTensor HostTensor::from_weight(const Weight& weight) {
  HostTensor out;
  out.dtype = weight.dtype();
  out.dims = weight.dims();
  out.bytes = weight.bytes();
  return out;
}

HostTensor HostTensor::to_f32() const {
  if (dtype == DType::f32) return *this;
  HostTensor out = zeros(DType::f32, dims);
  to_floats(bytes.data(), dtype, count(), out.as<float>().data());
  return out;
}

HostTensor HostTensor::to_i64() const {
  if (dtype == DType::i64) return *this;
  return i64(dims, to_integers(bytes, dtype, count()));
}

HostTensor HostTensor::to_floating(DType to) const {
  if (dtype == to) return *this;
  HostTensor out = zeros(to, dims);
  const HostTensor floats = to_f32();
  from_floats(floats.as<float>(), to, out.bytes.data());
  return out;
}

HostTensor HostTensor::reshaped(Dims to) const {
  HostTensor out = *this;
  out.dims = std::move(to);
  out.check();
  return out;
}

void HostTensor::check() const {
  const bool is_text = dtype == DType::string;
  // Strings are counted as if each took a byte.
  const size_t wanted = checked_bytes(is_text ? DType::u8 : dtype, dims);
  const size_t held = is_text ? strings.size() : bytes.size();
  if (held != wanted) {
    throw Error(ErrorCode::shape_mismatch, fmt::format("a tensor {} wants {} {}, not {}", describe(), wanted,
                                                       is_text ? "strings" : "bytes", held));
  }
}

std::string HostTensor::describe() const {
  return fmt::format("{}{}", to_string(dtype), to_string(dims));
}

void HostTensor::require_holds(bool condition) const {
  if (!condition)
    throw Error(ErrorCode::dtype_mismatch,
                fmt::format("the elements of {} were asked for as another type", describe()));
}

}  // namespace ferry
