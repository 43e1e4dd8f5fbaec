#pragma once
#include <cstddef>

#include "ir/graph.h"

namespace ferry::passes {

/// Takes out nodes that move nothing: Identity, Cast to the same type, Transpose in place, Reshape to the
/// shape that is there; and makes one of two Reshapes or two Transposes in a row.
/// Keeps: inputs, outputs and their names, numbers. Returns how many nodes went.
size_t simplify(ir::Graph& graph);

}  // namespace ferry::passes
