#pragma once
// The bytes of an HDF5 file and its object headers. Private to the h5_*.cc files.
// Source: HDF5 File Format Specification 3.0, II "Level 0" and IV.A "Object Headers".
//
// ferry reads the format itself: libhdf5 1.10.8 (Debian 12), fuzzed through the few calls that a tf_model.h5
// needs, wrote and read beyond its buffers within seconds (in H5Aread and H5Aexists, among others).
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/byte_reader.h"
#include "tensor/weight.h"

namespace ferry::checkpoint {

constexpr uint64_t kH5Undefined = ~uint64_t{0};

/// Header messages that are read; all others are passed over.
enum class H5MessageType : uint16_t {
  dataspace = 0x01,
  link_info = 0x02,
  datatype = 0x03,
  link = 0x06,
  external_files = 0x07,
  layout = 0x08,
  filters = 0x0B,
  attribute = 0x0C,
  continuation = 0x10,
  symbol_table = 0x11,
  attribute_info = 0x15,
};

struct H5Message {
  H5MessageType type;
  uint8_t flags = 0;
  std::string_view data;  ///< Bytes of the file.
};

class H5Bytes {
 public:
  /// Finds the superblock. Errors: Error{invalid_file}; Error{unsupported} for addresses of other than 8
  /// bytes.
  H5Bytes(std::shared_ptr<const ByteSource> source, std::string_view name);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::shared_ptr<const ByteSource>& source() const { return source_; }
  [[nodiscard]] uint64_t size() const { return file_.size(); }
  [[nodiscard]] uint64_t root() const { return root_; }
  /// Where address 0 lies in the file.
  [[nodiscard]] uint64_t base() const { return base_; }

  /// The `size` bytes at `address`. Errors: Error{invalid_file}.
  [[nodiscard]] std::string_view at(uint64_t address, uint64_t size, std::string_view what) const;
  /// All bytes from `address` on.
  [[nodiscard]] std::string_view from(uint64_t address, std::string_view what) const;
  /// The messages of the object header at `address`, those of its continuations included.
  [[nodiscard]] std::vector<H5Message> messages(uint64_t address) const;

  /// Counts a step of work. A file whose structures refer to each other again and again runs out of them.
  /// Errors: Error{invalid_file}.
  void step(uint64_t count = 1) const;

  [[noreturn]] void fail(std::string_view reason) const;
  [[noreturn]] void refuse(std::string_view reason) const;

 private:
  void read_superblock();

  std::shared_ptr<const ByteSource> source_;
  std::string name_;
  std::string_view file_;
  uint64_t base_ = 0;
  uint64_t root_ = 0;
  mutable uint64_t steps_ = 0;
};

/// A number of `bytes` bytes (1 to 8), little-endian, or nothing if the reader is at its end.
std::optional<uint64_t> h5_number(ByteReader& reader, size_t bytes);

}  // namespace ferry::checkpoint
