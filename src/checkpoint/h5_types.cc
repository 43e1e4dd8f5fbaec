#include "checkpoint/h5_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "base/text.h"
#include "checkpoint/h5_group.h"
#include "checkpoint/limits.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {
namespace {

// Bit positions and sizes of a float's parts, as a datatype message lists them.
struct FloatRow {
  uint64_t bytes;
  uint8_t sign, exponent_at, exponent_bits, mantissa_at, mantissa_bits;
  uint32_t bias;
  DType dtype;
};

constexpr std::array<FloatRow, 4> kFloats = {{
    {2, 15, 10, 5, 0, 10, 15, DType::f16},
    {2, 15, 7, 8, 0, 7, 127, DType::bf16},
    {4, 31, 23, 8, 0, 23, 127, DType::f32},
    {8, 63, 52, 11, 0, 52, 1023, DType::f64},
}};

DType float_dtype(uint64_t size, uint32_t bits, std::string_view properties) {
  if (properties.size() < 12 || (bits >> 4 & 3) != 2 || (bits & 0x40) != 0) return DType::undefined;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(properties[i]); };
  const bool whole =
      number_at<uint16_t>(properties, 0) == 0 && number_at<uint16_t>(properties, 2) == 8 * size;
  for (const FloatRow& row : kFloats) {
    if (whole && row.bytes == size && row.sign == (bits >> 8 & 0xFF) && row.exponent_at == byte(4) &&
        row.exponent_bits == byte(5) && row.mantissa_at == byte(6) && row.mantissa_bits == byte(7) &&
        row.bias == number_at<uint32_t>(properties, 8))
      return row.dtype;
  }
  return DType::undefined;
}

DType integer_dtype(uint64_t size, uint32_t bits, std::string_view properties) {
  if (properties.size() < 4 || number_at<uint16_t>(properties, 0) != 0 ||
      number_at<uint16_t>(properties, 2) != 8 * size)
    return DType::undefined;
  const bool is_signed = (bits & 8) != 0;
  switch (size) {
    case 1:
      return is_signed ? DType::i8 : DType::u8;
    case 2:
      return is_signed ? DType::i16 : DType::u16;
    case 4:
      return is_signed ? DType::i32 : DType::u32;
    case 8:
      return is_signed ? DType::i64 : DType::u64;
    default:
      return DType::undefined;
  }
}

// An attribute message, taken apart.
struct Attribute {
  std::string_view name, type, shape, data;
};

std::optional<Attribute> parse_attribute(const H5Bytes& bytes, std::string_view message) {
  bytes.step();
  ByteReader reader(message);
  const auto version = reader.number<uint8_t>();
  const auto flags = reader.number<uint8_t>();
  const auto name_bytes = reader.number<uint16_t>();
  const auto type_bytes = reader.number<uint16_t>();
  const auto shape_bytes = reader.number<uint16_t>();
  if (!shape_bytes || *version < 1 || *version > 3) bytes.fail("an attribute message is broken");
  if (*version == 3) reader.take(1);  // Character set of the name.
  // Version 1 pads each part to eight bytes.
  const auto part = [&](uint64_t size) {
    const auto out = reader.take(size);
    if (*version == 1) reader.take((8 - size % 8) % 8);
    return out;
  };
  const auto name = part(*name_bytes);
  const auto type = part(*type_bytes);
  const auto shape = part(*shape_bytes);
  if (!name || !type || !shape) bytes.fail("an attribute runs over its message");
  if (*version > 1 && (*flags & 3) != 0) bytes.refuse("an attribute whose type lies elsewhere in the file");
  return Attribute{name->substr(0, name->find('\0')), *type, *shape, *reader.take(reader.left())};
}

constexpr uint64_t kMaxAttributeBytes = 64u << 20;
// Length (4), address of a global heap collection (8), index in it (4).
constexpr size_t kReferenceBytes = 16;

class StringReader {
 public:
  StringReader(const H5Bytes& bytes, const Attribute& attribute) : bytes_(bytes), attribute_(attribute) {}

  std::vector<std::string> read() {
    const H5Shape shape = read_h5_shape(bytes_, attribute_.shape);
    if (shape.count == 0) return {};
    const H5Type type = read_h5_type(bytes_, attribute_.type);
    if (type.text == H5Type::Text::none) fail("is not a list of strings");
    const uint64_t element = type.text == H5Type::Text::variable ? kReferenceBytes : type.size;
    const auto size = checked_mul(element, shape.count);
    if (element == 0 || shape.count > kMaxTensors || !size || *size > attribute_.data.size())
      fail(fmt::format("claims {} strings of {} bytes and has {}", shape.count, element,
                       attribute_.data.size()));
    for (uint64_t i = 0; i < shape.count; ++i) {
      const std::string_view raw = attribute_.data.substr(i * element, element);
      add(type.text == H5Type::Text::variable ? referred(raw) : raw);
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    bytes_.fail(fmt::format("attribute {} {}", in_quotes(attribute_.name), what));
  }

  void add(std::string_view text) {
    text = text.substr(0, text.find('\0'));
    // One long string can be referred to many times.
    total_ += text.size();
    if (text.size() > kMaxNameBytes || total_ > kMaxAttributeBytes) fail("holds strings that are too long");
    out_.emplace_back(text);
  }

  std::string_view referred(std::string_view reference) {
    const std::string_view object =
        heap_object(number_at<uint64_t>(reference, 4), number_at<uint32_t>(reference, 12));
    return object.substr(0, number_at<uint32_t>(reference, 0));
  }

  // Object `index` of the global heap collection at `address`; that of address 0 is the empty string.
  std::string_view heap_object(uint64_t address, uint32_t index) {
    if (address == 0) return {};
    auto& objects = heaps_[address];
    if (objects.empty()) objects = read_heap(address);
    const auto found = objects.find(index);
    if (found == objects.end()) fail(fmt::format("refers to object {} that its global heap lacks", index));
    return found->second;
  }

  [[nodiscard]] std::map<uint32_t, std::string_view> read_heap(uint64_t address) const {
    const std::string_view head = bytes_.at(address, 16, "a global heap");
    const auto size = number_at<uint64_t>(head, 8);
    if (!starts_with(head, std::string_view("GCOL\1", 5)) || size < 16)
      fail("refers to something else than a global heap");
    ByteReader reader(bytes_.at(address, size, "a global heap"), 16);
    std::map<uint32_t, std::string_view> out;
    while (reader.left() >= 16) {
      bytes_.step();
      const auto object = *reader.number<uint16_t>();
      reader.take(6);
      const auto length = *reader.number<uint64_t>();
      const auto content = object == 0 ? std::nullopt : reader.take(length);
      if (!content) break;  // The free space at the end.
      out.emplace(object, *content);
      reader.take((8 - length % 8) % 8);
    }
    return out;
  }

  const H5Bytes& bytes_;
  const Attribute& attribute_;
  std::vector<std::string> out_;
  uint64_t total_ = 0;
  std::map<uint64_t, std::map<uint32_t, std::string_view>> heaps_;
};

}  // namespace

H5Type read_h5_type(const H5Bytes& bytes, std::string_view message) {
  if (message.size() < 8) bytes.fail("a datatype message is too short");
  const auto head = number_at<uint32_t>(message, 0);
  const uint32_t kind = head & 0x0F, bits = head >> 8;
  H5Type out;
  out.size = number_at<uint32_t>(message, 4);
  out.big_endian = (bits & 1) != 0;
  const std::string_view properties = message.substr(8);
  if (kind == 0) out.dtype = integer_dtype(out.size, bits, properties);
  if (kind == 1) out.dtype = float_dtype(out.size, bits, properties);
  if (kind == 3) out.text = H5Type::Text::fixed;
  if (kind == 9 && (bits & 0x0F) == 1 && out.size == kReferenceBytes) out.text = H5Type::Text::variable;
  return out;
}

H5Shape read_h5_shape(const H5Bytes& bytes, std::string_view message) {
  ByteReader reader(message);
  const auto version = reader.number<uint8_t>();
  const auto rank = reader.number<uint8_t>();
  reader.take(1);
  if (!rank || *version < 1 || *version > 2) bytes.fail("a dataspace message is broken");
  H5Shape out;
  if (*version == 1) {
    reader.take(5);
  } else if (reader.number<uint8_t>().value_or(2) == 2) {
    return out;  // The null shape.
  }
  if (*rank > kMaxRank) bytes.fail(fmt::format("{} dimensions, more than {}", *rank, kMaxRank));
  uint64_t count = 1;
  for (uint8_t i = 0; i < *rank; ++i) {
    const auto dim = reader.number<uint64_t>();
    const auto next = dim ? checked_mul(count, *dim) : std::nullopt;
    if (!next || *dim > INT64_MAX || *next >> 60 != 0) bytes.fail("a shape whose size does not fit 64 bits");
    count = *next;
    out.dims.push_back(static_cast<int64_t>(*dim));
  }
  out.count = count;
  return out;
}

std::optional<std::vector<std::string>> read_h5_strings(const H5Bytes& bytes,
                                                        const std::vector<H5Message>& messages,
                                                        std::string_view name) {
  std::optional<std::vector<std::string>> out;
  const auto take = [&](std::string_view message) {
    const auto attribute = parse_attribute(bytes, message);
    if (attribute->name == name && !out) out = StringReader(bytes, *attribute).read();
  };
  for (const H5Message& message : messages) {
    if (message.type == H5MessageType::attribute) {
      if ((message.flags & 2) != 0) bytes.refuse("an attribute that lies elsewhere in the file");
      take(message.data);
    }
    if (message.type != H5MessageType::attribute_info) continue;
    ByteReader reader(message.data);
    reader.take(1);
    const auto flags = reader.number<uint8_t>();
    if (flags && (*flags & 1) != 0) reader.take(2);
    const auto heap = reader.number<uint64_t>();
    const auto index = reader.number<uint64_t>();
    if (index && *heap != kH5Undefined && *index != kH5Undefined)
      walk_h5_dense(bytes, *heap, *index, 0, take);
  }
  return out;
}

}  // namespace ferry::checkpoint
