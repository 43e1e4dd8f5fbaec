#pragma once
// flax_model.msgpack: maps by module name down to arrays.
// Source: flax 0.10.4, serialization.py; the MessagePack specification.
#include <memory>
#include <string_view>

#include "checkpoint/tensor_file.h"

namespace ferry::checkpoint {

/// Reads the tree; arrays stay where they lie in the file. TensorFile::format is "flax", names are the keys
/// joined by "/". Arrays that flax has cut into chunks (over 1 GB) are joined again.
/// Errors: Error{invalid_file}; Error{unsupported} for values that are no arrays, naming them.
TensorFile read_flax(const std::shared_ptr<const ByteSource>& source, std::string_view file);

}  // namespace ferry::checkpoint
