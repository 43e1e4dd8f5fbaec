#include "onnx/tensor_from_proto.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <optional>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "onnx-ml.pb.h"
#include "onnx/wire.h"

namespace ferry::onnx {
namespace {

using ::onnx::TensorProto;
constexpr uint32_t kRawDataField = 9;

// What is known of a tensor before its bytes are.
struct Header {
  std::string what;  // "initializer \"x\""
  DType dtype = DType::undefined;
  Dims dims;
  uint64_t count = 1;
  uint64_t bytes = 0;

  [[noreturn]] void invalid(std::string_view why) const {
    throw Error(ErrorCode::invalid_file, fmt::format("{} {}", what, why));
  }
  [[noreturn]] void unsupported(std::string_view why) const {
    throw Error(ErrorCode::unsupported, fmt::format("{} {}", what, why));
  }
};

Header header_of(const TensorProto& tensor, std::string_view what) {
  Header out;
  out.what = fmt::format("{} \"{}\"", what, printable(tensor.name(), 120));
  if (tensor.has_segment()) out.unsupported("is stored in segments");
  out.dtype = dtype_from_onnx(tensor.data_type());
  if (out.dtype == DType::string) out.unsupported("holds strings");
  if (out.dtype == DType::undefined)
    out.unsupported(fmt::format("has the unknown element type {}", tensor.data_type()));
  for (const int64_t dim : tensor.dims()) {
    if (dim < 0) out.invalid(fmt::format("has a dimension of {}", dim));
    out.dims.push_back(dim);
  }
  // Weight checks the same once more; here the message can name the tensor.
  const bool empty = std::find(out.dims.begin(), out.dims.end(), 0) != out.dims.end();
  if (empty) out.count = 0;
  for (const int64_t dim : empty ? Dims() : out.dims) {
    const auto next = checked_mul(out.count, static_cast<uint64_t>(dim));
    if (!next || *next > (uint64_t{1} << 60)) out.invalid("has a size beyond 64 bits");
    out.count = *next;
  }
  const auto bytes = byte_size(out.dtype, out.count);
  if (!bytes) out.invalid("has a size beyond 64 bits");
  out.bytes = *bytes;
  return out;
}

// A whole number of an external_data entry.
uint64_t number_of(const Header& header, const std::string& key, const std::string& text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || text.empty())
    header.invalid(fmt::format("has external data with {} \"{}\"", key, printable(text, 40)));
  return value;
}

Weight external(const Header& header, const TensorProto& tensor, ExternalFiles& files) {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = number_of(header, "offset", entry.value());
    if (entry.key() == "length") length = number_of(header, "length", entry.value());
  }
  return with_context(header.what, [&] {
    if (location.empty()) header.invalid("has external data without a location");
    const auto source = files.open(location);
    const uint64_t size = source->bytes().size();
    if (length && *length != header.bytes) {
      header.invalid(fmt::format("takes {} bytes, but its external data has {}", header.bytes, *length));
    }
    if (offset > size || header.bytes > size - offset) {
      header.invalid(fmt::format("ends at byte {} + {} of \"{}\", which has {}", offset, header.bytes,
                                 printable(location, 120), size));
    }
    return Weight::stored(source, offset, header.dtype, header.dims);
  });
}

// Each stored number becomes one element (or one byte of two 4-bit ones) of `Element`'s size.
template <typename Element, typename Numbers>
Weight converted(const Header& header, const Numbers& numbers, uint64_t expected) {
  if (static_cast<uint64_t>(numbers.size()) != expected) {
    header.invalid(fmt::format("needs {} numbers of data and has {}", expected, numbers.size()));
  }
  std::vector<std::byte> bytes(expected * sizeof(Element));
  std::byte* out = bytes.data();
  for (const auto number : numbers) {
    const auto element = static_cast<Element>(number);
    std::memcpy(out, &element, sizeof element);
    out += sizeof element;
  }
  bytes.resize(header.bytes);
  return Weight::inline_bytes(header.dtype, header.dims, std::move(bytes));
}

Weight typed(const Header& header, const TensorProto& tensor) {
  switch (header.dtype) {
    case DType::f32:
      return converted<float>(header, tensor.float_data(), header.count);
    case DType::c64:
      return converted<float>(header, tensor.float_data(), header.count * 2);
    case DType::f64:
      return converted<double>(header, tensor.double_data(), header.count);
    case DType::c128:
      return converted<double>(header, tensor.double_data(), header.count * 2);
    case DType::i64:
      return converted<int64_t>(header, tensor.int64_data(), header.count);
    case DType::u64:
      return converted<uint64_t>(header, tensor.uint64_data(), header.count);
    case DType::u32:
      return converted<uint32_t>(header, tensor.uint64_data(), header.count);
    case DType::i32:
      return converted<int32_t>(header, tensor.int32_data(), header.count);
    case DType::i16:
    case DType::u16:
    case DType::f16:
    case DType::bf16:
      return converted<uint16_t>(header, tensor.int32_data(), header.count);
    case DType::i4:
    case DType::u4:
      return converted<uint8_t>(header, tensor.int32_data(), header.bytes);
    default:
      return converted<uint8_t>(header, tensor.int32_data(), header.count);
  }
}

bool has_typed_data(const TensorProto& tensor) {
  return tensor.float_data_size() > 0 || tensor.int32_data_size() > 0 || tensor.int64_data_size() > 0 ||
         tensor.double_data_size() > 0 || tensor.uint64_data_size() > 0 || tensor.string_data_size() > 0;
}

// `raw` is raw_data where there is any.
Weight read(const TensorProto& tensor, const Header& header, ExternalFiles& files, bool has_raw,
            uint64_t raw_size, const std::function<Weight()>& raw) {
  const bool outside = tensor.data_location() == TensorProto::EXTERNAL;
  if (static_cast<int>(outside) + static_cast<int>(has_raw) + static_cast<int>(has_typed_data(tensor)) > 1)
    header.invalid("has its data in two places");
  if (outside) return external(header, tensor, files);
  if (!has_raw) return typed(header, tensor);
  if (raw_size != header.bytes)
    header.invalid(fmt::format("takes {} bytes, but its data has {}", header.bytes, raw_size));
  return raw();
}

}  // namespace

NamedWeight read_tensor(const TensorPlace& place, ExternalFiles& files, std::string_view what) {
  std::string rest;
  std::optional<std::span<const std::byte>> raw;
  WireReader reader(place.message);
  for (WireField field; reader.next(field);) {
    if (field.number != kRawDataField || !field.is_bytes) {
      append(rest, field.whole);
      continue;
    }
    if (raw) throw Error(ErrorCode::invalid_file, fmt::format("{} with raw_data twice", what));
    raw = field.payload;
  }
  TensorProto tensor;
  if (!tensor.ParsePartialFromString(rest))
    throw Error(ErrorCode::invalid_file, fmt::format("{} is malformed", what));
  const Header header = header_of(tensor, what);
  const auto stored = [&] {
    const auto offset = static_cast<uint64_t>(raw->data() - place.source->bytes().data());
    return Weight::stored(place.source, offset, header.dtype, header.dims);
  };
  return {tensor.name(), read(tensor, header, files, raw.has_value(), raw ? raw->size() : 0, stored)};
}

Weight read_tensor(const TensorProto& tensor, ExternalFiles& files, std::string_view what) {
  const Header header = header_of(tensor, what);
  const auto copied = [&] {
    const auto bytes = std::as_bytes(std::span(tensor.raw_data()));
    return Weight::inline_bytes(header.dtype, header.dims, {bytes.begin(), bytes.end()});
  };
  return read(tensor, header, files, tensor.has_raw_data(), tensor.raw_data().size(), copied);
}

}  // namespace ferry::onnx
