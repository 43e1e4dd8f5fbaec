#pragma once
// What the h5_*.cc files share. Private to them.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/h5_file.h"
#include "checkpoint/h5_handle.h"

namespace ferry::checkpoint {

struct H5State {
  std::string name;  // For messages.
  std::shared_ptr<const ByteSource> bytes;
  H5Handle file;

  // The rows of a chunked dataset that were decoded last; guarded by h5_lock().
  struct Decoded {
    std::string path;
    uint64_t first_row = 0;
    std::vector<std::byte> bytes;
  };
  Decoded decoded;

  [[noreturn]] void fail(std::string_view path, std::string_view reason) const;
  [[noreturn]] void refuse(std::string_view path, std::string_view reason) const;

  // The object at `path`, or an invalid handle. Every component must be a hard link.
  [[nodiscard]] H5Handle open_object(std::string_view path) const;
};

/// The strings of one attribute of an open object.
std::vector<std::string> read_h5_strings(const H5State& state, hid_t object, std::string_view path,
                                         const std::string& attribute);

/// The element type of an HDF5 datatype; undefined if ferry has none for it.
struct H5Element {
  DType dtype = DType::undefined;
  bool big_endian = false;
};
H5Element h5_element(hid_t type);

/// The Weight of an open dataset.
Weight read_h5_dataset(const std::shared_ptr<H5State>& state, H5Handle dataset, std::string_view path);

}  // namespace ferry::checkpoint
