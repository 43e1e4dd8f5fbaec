#pragma once
#include <filesystem>
#include <string>

#include "ferry/quantization.h"
#include "ir/graph.h"
#include "passes/quantize/matmul_nbits.h"

namespace ferry::exporter {

/// What the pass takes. Errors: Error{usage} for numbers and names that are none of those there are.
passes::MatMulNBitsOptions nbits_options(const WeightQuantization& config);

/// The model, ready for the pass. Errors: those of reading; Error{usage} if it is quantized already.
ir::Graph read_to_quantize_weights(const std::filesystem::path& model, const WeightQuantization& config,
                                   const Log& log);

/// "4 bits in blocks of 32 with zero points (hqq)"
std::string describe(const WeightQuantization& config);

}  // namespace ferry::exporter
