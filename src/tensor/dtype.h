#pragma once
// Element types: those of ONNX and of the checkpoint formats.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ferry {

enum class DType : uint8_t {
  undefined,
  f32,
  f64,
  f16,
  bf16,
  f8_e4m3fn,
  f8_e5m2,
  i8,
  i16,
  i32,
  i64,
  u8,
  u16,
  u32,
  u64,
  boolean,
  string,
  i4,
  u4,
  c64,
  c128,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
};

/// "f32", "i64", "bool", ...
std::string_view to_string(DType dtype);

/// Bits of one element; 4 for i4 and u4, 0 for undefined and string.
size_t bits_of(DType dtype);

/// Bytes that `count` elements take, packed. Nothing if it does not fit 64 bits, or for strings.
std::optional<uint64_t> byte_size(DType dtype, uint64_t count);

bool is_floating(DType dtype);
/// Signed or unsigned whole numbers; not boolean.
bool is_integer(DType dtype);

/// The number of TensorProto.DataType, and back (undefined for a number that ferry does not know).
int onnx_number(DType dtype);
DType dtype_from_onnx(int number);

}  // namespace ferry
