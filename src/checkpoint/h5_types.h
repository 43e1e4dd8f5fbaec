#pragma once
// Element types, shapes and attributes. Private to the h5_*.cc files.
// Source: HDF5 File Format Specification 3.0, IV.A.2.b (dataspace), .d (datatype), .m (attribute).
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/h5_bytes.h"

namespace ferry::checkpoint {

struct H5Type {
  DType dtype = DType::undefined;  ///< Of plain numbers; undefined for all else.
  bool big_endian = false;
  uint64_t size = 0;  ///< Bytes of one element in the file.
  enum class Text : uint8_t { none, fixed, variable };
  Text text = Text::none;
};

/// Reads a datatype message. Errors: Error{invalid_file}.
H5Type read_h5_type(const H5Bytes& bytes, std::string_view message);

struct H5Shape {
  Dims dims;
  uint64_t count = 0;  ///< Elements; 0 for the null shape. Below 2^62.
};

/// Reads a dataspace message. Errors: Error{invalid_file} for more dimensions than kMaxRank, or sizes that
/// overflow.
H5Shape read_h5_shape(const H5Bytes& bytes, std::string_view message);

/// The strings of the attribute `name` of the object with these messages; nothing if it has no such
/// attribute. Errors: Error{invalid_file} if it is no list of strings, but for an empty one.
std::optional<std::vector<std::string>> read_h5_strings(const H5Bytes& bytes,
                                                        const std::vector<H5Message>& messages,
                                                        std::string_view name);

}  // namespace ferry::checkpoint
