#pragma once
// Tensors that a person wrote as nested lists.
#include <nlohmann/json_fwd.hpp>

#include "tensor/host_tensor.h"

namespace ferry::runtime {

/// A number, or lists of lists of numbers that are all of one length a level, as a tensor of `dtype`. Whole
/// numbers are taken for floats, true and false (or 1 and 0) for booleans, texts for strings.
/// Errors: Error{shape_mismatch} for lists of different lengths or more than 8 levels; Error{dtype_mismatch}
/// for a value that is no `dtype` or beyond its range, by its position; Error{unsupported} for a dtype that
/// JSON has no numbers for.
HostTensor tensor_from_json(const nlohmann::ordered_json& json, DType dtype);

}  // namespace ferry::runtime
