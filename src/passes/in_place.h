#pragma once
#include <cstddef>

#include "ir/graph.h"

namespace ferry::passes {

/// Weights that are permutations of what a checkpoint file holds become the stored tensor and a Transpose
/// node, so that the written model can refer to the checkpoint instead of holding a copy; ONNX Runtime folds
/// the Transpose when it loads the model. A tensor used both ways is stored once. Keeps: names, inputs,
/// outputs, numbers. Returns the number of Transpose nodes.
size_t expose_stored_weights(ir::Graph& graph);

}  // namespace ferry::passes
