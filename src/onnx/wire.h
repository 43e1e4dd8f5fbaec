#pragma once
// Protobuf's wire format, field by field, without copying: finds the large fields that the protobuf library
// would copy.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace ferry::onnx {

struct WireField {
  uint32_t number = 0;
  bool is_bytes = false;               ///< A length-delimited field: `payload` is its content.
  std::span<const std::byte> payload;  ///< Else empty.
  std::span<const std::byte> whole;    ///< With its tag.
};

/// Walks the fields of one message.
class WireReader {
 public:
  explicit WireReader(std::span<const std::byte> message) : rest_(message) {}

  /// False at the end. Errors: Error{invalid_file} for anything malformed, and for groups, which ONNX does
  /// not use.
  bool next(WireField& field);

 private:
  uint64_t varint();
  std::span<const std::byte> take(uint64_t count);

  std::span<const std::byte> rest_;
};

/// Appends bytes to a text.
inline void append(std::string& out, std::span<const std::byte> bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace ferry::onnx
