#include "checkpoint/msgpack.h"

namespace ferry::checkpoint {
namespace {
using Kind = MsgpackItem::Kind;

std::optional<uint64_t> big_endian(ByteReader& reader, size_t bytes) {
  const auto raw = reader.take(bytes);
  if (!raw) return std::nullopt;
  uint64_t value = 0;
  for (const char byte : *raw) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

std::optional<MsgpackItem> with_content(ByteReader& reader, Kind kind, std::optional<uint64_t> length) {
  MsgpackItem item{.kind = kind};
  if (!length) return std::nullopt;
  if (kind == Kind::extension) {
    const auto type = reader.number<int8_t>();
    if (!type) return std::nullopt;
    item.extension = *type;
  }
  item.offset = reader.at();
  const auto content = reader.take(*length);
  if (!content) return std::nullopt;
  item.content = *content;
  return item;
}

std::optional<MsgpackItem> with_number(Kind kind, std::optional<uint64_t> number) {
  if (!number) return std::nullopt;
  return MsgpackItem{.kind = kind, .number = *number};
}

// A signed number of `bytes` bytes.
std::optional<MsgpackItem> with_sign(ByteReader& reader, size_t bytes) {
  const auto number = big_endian(reader, bytes);
  const bool negative = number && (*number >> (8 * bytes - 1) & 1) != 0;
  return with_number(negative ? Kind::negative : Kind::whole, number);
}

}  // namespace

std::optional<MsgpackItem> next_msgpack(ByteReader& reader) {
  const auto head = reader.number<uint8_t>();
  if (!head) return std::nullopt;
  const uint8_t tag = *head;
  if (tag < 0x80) return with_number(Kind::whole, tag);
  if (tag < 0x90) return with_number(Kind::map, tag & 0x0Fu);
  if (tag < 0xA0) return with_number(Kind::array, tag & 0x0Fu);
  if (tag < 0xC0) return with_content(reader, Kind::text, tag & 0x1Fu);
  if (tag >= 0xE0) return with_number(Kind::negative, tag);
  switch (tag) {
    case 0xC0:
      return MsgpackItem{};
    case 0xC2:
    case 0xC3:
      return with_number(Kind::boolean, tag & 1u);
    case 0xC4:
    case 0xC5:
    case 0xC6:
      return with_content(reader, Kind::binary, big_endian(reader, size_t{1} << (tag - 0xC4)));
    case 0xC7:
    case 0xC8:
    case 0xC9:
      return with_content(reader, Kind::extension, big_endian(reader, size_t{1} << (tag - 0xC7)));
    case 0xCA:
      return with_number(Kind::real, big_endian(reader, 4));
    case 0xCB:
      return with_number(Kind::real, big_endian(reader, 8));
    case 0xCC:
    case 0xCD:
    case 0xCE:
    case 0xCF:
      return with_number(Kind::whole, big_endian(reader, size_t{1} << (tag - 0xCC)));
    case 0xD0:
    case 0xD1:
    case 0xD2:
    case 0xD3:
      return with_sign(reader, size_t{1} << (tag - 0xD0));
    case 0xD4:
    case 0xD5:
    case 0xD6:
    case 0xD7:
    case 0xD8:
      return with_content(reader, Kind::extension, uint64_t{1} << (tag - 0xD4));
    case 0xD9:
    case 0xDA:
    case 0xDB:
      return with_content(reader, Kind::text, big_endian(reader, size_t{1} << (tag - 0xD9)));
    case 0xDC:
      return with_number(Kind::array, big_endian(reader, 2));
    case 0xDD:
      return with_number(Kind::array, big_endian(reader, 4));
    case 0xDE:
      return with_number(Kind::map, big_endian(reader, 2));
    case 0xDF:
      return with_number(Kind::map, big_endian(reader, 4));
    default:
      return std::nullopt;
  }
}

}  // namespace ferry::checkpoint
