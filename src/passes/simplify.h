#pragma once
#include <cstddef>

#include "ir/graph.h"

namespace ferry::passes {

/// Takes out nodes that change nothing: Identity, Dropout, Cast to the same type, Transpose in place, Reshape
/// and Expand to the shape that is there, x + 0, x * 1; makes one of two Reshapes or two Transposes in a row,
/// and constants of computed shapes where 0, -1 and numbers say the same.
/// Keeps: inputs, outputs and their names, numbers. Returns how many nodes went.
size_t simplify(ir::Graph& graph);

}  // namespace ferry::passes
