#pragma once
#include <string>

#include "ferry/quantization.h"
#include "passes/quantize/matmul_nbits.h"

namespace ferry::exporter {

/// What the pass takes. Errors: Error{usage} for numbers and names that are none of those there are.
passes::MatMulNBitsOptions nbits_options(const WeightQuantization& config);

/// "4 bits in blocks of 32 with zero points (hqq)"
std::string describe(const WeightQuantization& config);

}  // namespace ferry::exporter
