#pragma once
// Elements between stored dtypes and the two types that ferry computes in.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/dtype.h"

namespace ferry {

/// Floating types but the rare 8-bit variants, integers of 8 bits and more, booleans.
bool can_read_as_float(DType dtype);

/// Converts `count` packed elements. Errors: Error{dtype_mismatch} for other types than can_read_as_float().
void to_floats(const std::byte* in, DType dtype, uint64_t count, float* out);

/// Rounds to nearest even into f32, f64, f16 or bf16. Errors: Error{dtype_mismatch} for other types.
void from_floats(std::span<const float> in, DType dtype, std::byte* out);

/// Integers of any width, and booleans. Errors: Error{dtype_mismatch} for other types.
std::vector<int64_t> to_integers(std::span<const std::byte> in, DType dtype, uint64_t count);

}  // namespace ferry
