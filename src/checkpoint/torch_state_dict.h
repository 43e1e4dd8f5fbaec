#pragma once
// From a pickle's values to named tensors. Shared by the zip and the legacy format.
#include <functional>
#include <memory>

#include "checkpoint/pickle.h"
#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {

/// Where a storage's bytes lie in the file.
struct StoragePlace {
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// What the two formats do differently.
struct StorageMap {
  std::shared_ptr<const ByteSource> source;
  /// The place of a storage, checked to hold all its elements. Throws.
  std::function<StoragePlace(const PickledStorage&)> place;
  bool big_endian = false;
};

/// The state dict that the pickle's root is, or holds under a well-known key.
/// Errors: Error{invalid_file}, Error{unsupported}, naming `file` and the tensor.
TensorFile torch_state_dict(const Pickle& pickle, const StorageMap& storages, std::string_view file);

/// `weight` with the bytes of every element reversed.
Weight byte_swapped(const Weight& weight);

}  // namespace ferry::checkpoint
