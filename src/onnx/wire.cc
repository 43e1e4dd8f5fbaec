#include "onnx/wire.h"

#include <fmt/format.h>

#include "base/error.h"

namespace ferry::onnx {
namespace {

[[noreturn]] void malformed(std::string_view what) {
  throw Error(ErrorCode::invalid_file, fmt::format("not an ONNX model: {}", what));
}

}  // namespace

uint64_t WireReader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (rest_.empty()) malformed("it ends within a number");
    const auto digit = static_cast<uint64_t>(rest_.front());
    rest_ = rest_.subspan(1);
    if (shift == 63 && digit > 1) break;
    value |= (digit & 0x7F) << shift;
    if ((digit & 0x80) == 0) return value;
  }
  malformed("a number has more than 64 bits");
}

std::span<const std::byte> WireReader::take(uint64_t count) {
  if (count > rest_.size())
    malformed(fmt::format("a field of {} bytes where {} are left", count, rest_.size()));
  const auto out = rest_.first(count);
  rest_ = rest_.subspan(count);
  return out;
}

bool WireReader::next(WireField& field) {
  if (rest_.empty()) return false;
  const std::byte* begin = rest_.data();
  const uint64_t tag = varint();
  const uint64_t number = tag >> 3;
  if (number == 0 || number > (1u << 29) - 1) malformed(fmt::format("a field with the number {}", number));
  field = {.number = static_cast<uint32_t>(number)};
  switch (tag & 7) {
    case 0:
      varint();
      break;
    case 1:
      take(8);
      break;
    case 2:
      field.is_bytes = true;
      field.payload = take(varint());
      break;
    case 5:
      take(4);
      break;
    default:
      malformed(fmt::format("a field of wire type {}", tag & 7));
  }
  field.whole = {begin, rest_.data()};
  return true;
}

}  // namespace ferry::onnx
