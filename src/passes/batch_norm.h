#pragma once
#include <cstddef>

#include "ir/graph.h"

namespace ferry::passes {

/// Moves a BatchNormalization that alone uses a Conv's result into that one's weight, which stays a lazy
/// expression, and bias. Keeps: inputs, outputs and their names, numbers but for rounding. Returns how many
/// went.
size_t fold_batch_norms(ir::Graph& graph);

}  // namespace ferry::passes
