#pragma once
// safetensors: eight bytes of header length, a JSON header, the tensors' bytes.
// Source: safetensors 0.8, README.md "Format" and safetensors/src/tensor.rs.
#include <memory>
#include <string_view>

#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {

/// Reads the header and makes one stored Weight per tensor. TensorFile::format is "safetensors", or
/// "tf safetensors" or "flax safetensors" if `__metadata__` says so.
///
/// Checked: the header's length against 100 MB and the file; UTF-8; names that occur twice, at every level;
/// tensors sorted by offset lie end to end and cover all bytes after the header; dtype times shape equals the
/// range, in checked arithmetic. Spaces before the header's `{` are taken, as the reference does.
/// Errors: Error{invalid_file}; Error{unsupported} for an element type that ferry lacks (F4, F6_E2M3, ...).
TensorFile read_safetensors(std::shared_ptr<const ByteSource> source, std::string_view file);

}  // namespace ferry::checkpoint
