#include "tensor/dtype.h"

#include <array>

#include "base/checked.h"

namespace ferry {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  size_t bits;
  int onnx;   // TensorProto.DataType
  char kind;  // 'f' floating, 'i' integer, '-' neither
};

constexpr std::array<Row, 24> kRows = {{
    {DType::undefined, "undefined", 0, 0, '-'},
    {DType::f32, "f32", 32, 1, 'f'},
    {DType::f64, "f64", 64, 11, 'f'},
    {DType::f16, "f16", 16, 10, 'f'},
    {DType::bf16, "bf16", 16, 16, 'f'},
    {DType::f8_e4m3fn, "f8_e4m3fn", 8, 17, 'f'},
    {DType::f8_e5m2, "f8_e5m2", 8, 19, 'f'},
    {DType::i8, "i8", 8, 3, 'i'},
    {DType::i16, "i16", 16, 5, 'i'},
    {DType::i32, "i32", 32, 6, 'i'},
    {DType::i64, "i64", 64, 7, 'i'},
    {DType::u8, "u8", 8, 2, 'i'},
    {DType::u16, "u16", 16, 4, 'i'},
    {DType::u32, "u32", 32, 12, 'i'},
    {DType::u64, "u64", 64, 13, 'i'},
    {DType::boolean, "bool", 8, 9, '-'},
    {DType::string, "string", 0, 8, '-'},
    {DType::i4, "i4", 4, 22, 'i'},
    {DType::u4, "u4", 4, 21, 'i'},
    {DType::c64, "c64", 64, 14, '-'},
    {DType::c128, "c128", 128, 15, '-'},
    {DType::f8_e8m0, "f8_e8m0", 8, 24, 'f'},
    {DType::f8_e4m3fnuz, "f8_e4m3fnuz", 8, 18, 'f'},
    {DType::f8_e5m2fnuz, "f8_e5m2fnuz", 8, 20, 'f'},
}};

constexpr bool in_order() {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].dtype) != i) return false;
  }
  return true;
}
static_assert(in_order(), "a row for every DType, in the order of the enum");

const Row& row(DType dtype) {
  return kRows.at(static_cast<size_t>(dtype));
}

}  // namespace

std::string_view to_string(DType dtype) {
  return row(dtype).name;
}
size_t bits_of(DType dtype) {
  return row(dtype).bits;
}
bool is_floating(DType dtype) {
  return row(dtype).kind == 'f';
}
bool is_integer(DType dtype) {
  return row(dtype).kind == 'i';
}
int onnx_number(DType dtype) {
  return row(dtype).onnx;
}

std::optional<uint64_t> byte_size(DType dtype, uint64_t count) {
  const auto bits = checked_mul(count, bits_of(dtype));
  if (!bits || bits_of(dtype) == 0) return std::nullopt;
  return *bits / 8 + (*bits % 8 != 0 ? 1 : 0);
}

DType dtype_from_onnx(int number) {
  for (const Row& candidate : kRows) {
    if (candidate.onnx == number) return candidate.dtype;
  }
  return DType::undefined;
}

}  // namespace ferry
