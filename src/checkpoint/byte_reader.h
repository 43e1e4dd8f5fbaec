#pragma once
// Little-endian numbers out of bytes that a stranger wrote. Nothing is read past the end.
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace ferry::checkpoint {

/// A position in a text. Reads advance it; a read past the end gives nothing and leaves it where it was.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes, size_t at = 0) : bytes_(bytes), at_(at) {}

  [[nodiscard]] size_t at() const { return at_; }
  [[nodiscard]] size_t left() const { return at_ <= bytes_.size() ? bytes_.size() - at_ : 0; }

  /// The next `count` bytes.
  std::optional<std::string_view> take(uint64_t count) {
    if (count > left()) return std::nullopt;
    const std::string_view out = bytes_.substr(at_, count);
    at_ += count;
    return out;
  }

  /// An unsigned little-endian number of sizeof(T) bytes.
  template <typename T>
  std::optional<T> number() {
    const auto raw = take(sizeof(T));
    if (!raw) return std::nullopt;
    T value;
    std::memcpy(&value, raw->data(), sizeof(T));
    return value;
  }

 private:
  std::string_view bytes_;
  size_t at_;
};

/// The little-endian number at `at`; the caller has checked that it lies within.
template <typename T>
T number_at(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

}  // namespace ferry::checkpoint
