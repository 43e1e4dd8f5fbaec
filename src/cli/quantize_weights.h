#pragma once
// The flags of `ferry onnxruntime quantize` for weights alone.
#include <CLI/CLI.hpp>

#include "ferry/quantization.h"

namespace ferry::cli {

struct WeightFlags {
  bool int4 = false, int8_weights = false, asymmetric = false;
  WeightQuantization config;

  [[nodiscard]] bool asked() const { return int4 || int8_weights; }
};

void add_weight_flags(CLI::App& app, WeightFlags& flags);

/// What was asked for. Errors: Error{usage} for both numbers of bits.
WeightQuantization weight_config(const WeightFlags& flags);

/// Errors: Error{usage} if one of the flags is given and weights alone are not asked for.
void refuse_weight_flags(const WeightFlags& flags);

}  // namespace ferry::cli
