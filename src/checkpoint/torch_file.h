#pragma once
// Files that torch.save wrote: the zip archive of PyTorch 1.6 and later, and the five pickles before it.
// Source: torch 2.13, serialization.py:_load and _legacy_load.
#include <memory>
#include <string_view>

#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {

/// Reads the state dict; tensors stay where they lie in the file. TensorFile::format is "pytorch" or
/// "pytorch (legacy)".
///
/// Every storage is checked against its record and every view against its storage, in checked arithmetic.
/// Views with strides, shared storages and parameters are honoured; a record of bytes in big-endian order is
/// swapped as it is read. A state dict one level down ("state_dict", "model") is taken, with a warning.
/// Errors: Error{unsupported} for TorchScript archives, tar files, compressed records and everything that
/// is not on the list of what a state dict may hold; Error{invalid_file}.
TensorFile read_torch(std::shared_ptr<const ByteSource> source, std::string_view file);

}  // namespace ferry::checkpoint
