#include "onnx/refer_to_weights.h"

#include <optional>

#include "onnx/wire.h"

namespace ferry::onnx {
namespace {

using Bytes = std::span<const std::byte>;

// Numbers of fields of onnx.proto.
constexpr uint32_t kGraph = 7;          // ModelProto.graph
constexpr uint32_t kInitializer = 5;    // GraphProto.initializer
constexpr uint32_t kRawData = 9;        // TensorProto.raw_data
constexpr uint32_t kExternalData = 13;  // TensorProto.external_data, pairs of texts
constexpr uint32_t kDataLocation = 14;  // TensorProto.data_location
constexpr uint32_t kKey = 1, kValue = 2;
constexpr uint64_t kExternal = 1;  // TensorProto.EXTERNAL

void append_number(std::string& out, uint64_t number) {
  for (; number > 0x7F; number >>= 7) out.push_back(static_cast<char>((number & 0x7F) | 0x80));
  out.push_back(static_cast<char>(number));
}

void append_field(std::string& out, uint32_t number, std::string_view content) {
  append_number(out, number << 3 | 2);
  append_number(out, content.size());
  out += content;
}

void append_pair(std::string& out, std::string_view key, std::string_view value) {
  std::string pair;
  append_field(pair, kKey, key);
  append_field(pair, kValue, value);
  append_field(out, kExternalData, pair);
}

struct Referring {
  Bytes model;
  std::string_view location;
  size_t least;

  [[nodiscard]] std::string tensor(Bytes message) const {
    std::string out;
    std::optional<Bytes> raw;
    WireReader reader(message);
    for (WireField field; reader.next(field);) {
      if (field.number == kRawData && field.is_bytes && field.payload.size() >= least) {
        raw = field.payload;
      } else {
        append(out, field.whole);
      }
    }
    if (!raw) return out;
    append_pair(out, "location", location);
    append_pair(out, "offset", std::to_string(raw->data() - model.data()));
    append_pair(out, "length", std::to_string(raw->size()));
    append_number(out, kDataLocation << 3);
    append_number(out, kExternal);
    return out;
  }

  [[nodiscard]] std::string graph(Bytes message) const {
    std::string out;
    WireReader reader(message);
    for (WireField field; reader.next(field);) {
      if (field.number == kInitializer && field.is_bytes) {
        append_field(out, kInitializer, tensor(field.payload));
      } else {
        append(out, field.whole);
      }
    }
    return out;
  }
};

}  // namespace

std::string refer_to_weights(Bytes model, std::string_view location, size_t least) {
  const Referring referring{model, location, least};
  std::string out;
  WireReader reader(model);
  for (WireField field; reader.next(field);) {
    if (field.number == kGraph && field.is_bytes) {
      append_field(out, kGraph, referring.graph(field.payload));
    } else {
      append(out, field.whole);
    }
  }
  return out;
}

}  // namespace ferry::onnx
