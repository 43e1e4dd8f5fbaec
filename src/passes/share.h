#pragma once
#include <cstddef>
#include <string>

#include "ir/graph.h"

namespace ferry::passes {

/// Merges weights that are equal (the same expression over the same bytes, or small ones with the same
/// content) and nodes that compute the same from the same inputs. Keeps: inputs, outputs and their names,
/// numbers. Returns how many values were merged.
size_t share(ir::Graph& graph);

/// Weights of equal keys are equal: small ones are compared by content, others by expression.
std::string content_key(const Weight& weight);

}  // namespace ferry::passes
