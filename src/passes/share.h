#pragma once
#include <cstddef>

#include "ir/graph.h"

namespace ferry::passes {

/// Merges weights that are equal (the same expression over the same bytes, or small ones with the same
/// content) and nodes that compute the same from the same inputs. Keeps: inputs, outputs and their names,
/// numbers. Returns how many values were merged.
size_t share(ir::Graph& graph);

}  // namespace ferry::passes
