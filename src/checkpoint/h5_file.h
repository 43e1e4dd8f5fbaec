#pragma once
// An HDF5 file, read by name: attributes that list names, and datasets. Only what lies in the file itself is
// read: links are followed if they are hard, data must not come from another file or a filter that is not the
// library's own.
// Source: HDF5 File Format Specification 3.0; the fix of CVE-2026-1669 in Keras (saving_lib.py).
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/weight.h"

namespace ferry::checkpoint {

struct H5State;  // h5_state.h

class H5File {
 public:
  /// Errors: Error{invalid_file} if it is no HDF5 file or is truncated; Error{not_found}, Error{io}.
  static std::shared_ptr<const H5File> open(const std::filesystem::path& path);
  /// The same for bytes in memory; nothing is ever read lazily from a file. For fuzzing.
  static std::shared_ptr<const H5File> open(std::shared_ptr<const ByteSource> image, std::string_view name);
  ~H5File();
  H5File(const H5File&) = delete;
  H5File& operator=(const H5File&) = delete;

  /// What lies at `path`, component by component from the root.
  enum class Kind : uint8_t { absent, group, dataset };
  /// Errors: Error{unsupported} if a component is a soft or external link.
  [[nodiscard]] Kind kind(std::string_view path) const;

  /// The strings of the attribute `name` of the group `path`, joined from `name`0, `name`1, ... where Keras
  /// has split it. Nothing if there is no such attribute. An attribute of numbers without elements is an
  /// empty list (Keras writes one for a layer without weights).
  /// Errors: Error{invalid_file}, Error{unsupported}.
  [[nodiscard]] std::optional<std::vector<std::string>> strings(std::string_view path,
                                                                std::string_view name) const;

  /// The dataset at `path`. Contiguous data stays where it lies in the mapped file; chunks are decoded as
  /// they are read, a bounded number of them at a time.
  /// Errors: Error{invalid_file}; Error{unsupported} for external, virtual and unwritten data, unknown
  /// filters and element types.
  [[nodiscard]] Weight dataset(std::string_view path) const;

 private:
  explicit H5File(std::shared_ptr<H5State> state) : state_(std::move(state)) {}
  std::shared_ptr<H5State> state_;
};

}  // namespace ferry::checkpoint
