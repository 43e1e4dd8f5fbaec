#pragma once
// An HDF5 file, read by name: attributes that list names, and datasets. Only what lies in the file itself is
// read: links are followed if they are hard, data must not come from another file or a filter that is not
// HDF5's own.
// Source: HDF5 File Format Specification 3.0; the fix of CVE-2026-1669 in Keras (saving_lib.py).
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/h5_group.h"
#include "tensor/weight.h"

namespace ferry::checkpoint {

/// Not thread-safe; the Weights that it makes are.
class H5File {
 public:
  /// Errors: Error{invalid_file} if it is no HDF5 file or is truncated.
  H5File(std::shared_ptr<const ByteSource> source, std::string_view name);

  /// What lies at `path`, component by component from the root.
  enum class Kind : uint8_t { absent, group, dataset };
  /// Errors: Error{unsupported} if a component is a soft or external link.
  [[nodiscard]] Kind kind(std::string_view path);

  /// The strings of the attribute `name` of the group `path`, joined from `name`0, `name`1, ... where Keras
  /// has split it. Nothing if there is no such attribute. An attribute of numbers without elements is an
  /// empty list (Keras writes one for a layer without weights).
  /// Errors: Error{invalid_file}, Error{unsupported}.
  [[nodiscard]] std::optional<std::vector<std::string>> strings(std::string_view path, std::string_view name);

  /// The dataset at `path`. Contiguous data stays where it lies in the mapped file; chunks are decoded as
  /// they are read, a bounded number of them at a time.
  /// Errors: Error{invalid_file}; Error{unsupported} for external, virtual and unwritten data, unknown
  /// filters and element types.
  [[nodiscard]] Weight dataset(std::string_view path);

 private:
  /// Of the object header at `path`.
  std::optional<uint64_t> find(std::string_view path);

  std::shared_ptr<const H5Bytes> bytes_;
  std::map<uint64_t, H5Group> groups_;  // By the address of their object header.
};

}  // namespace ferry::checkpoint
