#pragma once
#include "ir/graph.h"

namespace ferry::passes {

/// The oldest opset of ai.onnx that upgrade() takes.
inline constexpr int kOldestRead = 7;

/// Rewrites a graph that was read, of an older opset, as the same graph of ir::kNewestOpset, subgraphs
/// included: attributes that became inputs, operators that were renamed, defaults and meanings that changed.
/// What was inferred of values is inferred again. Operators of other domains, and those that ONNX never had,
/// stay as they are. Keeps: inputs, outputs and their names, numbers.
/// Errors: Error{unsupported} for an opset before kOldestRead or after the newest, and for a form that has no
/// successor; the text names the node. The graph is then in pieces, to be thrown away.
void upgrade(ir::Graph& graph);

}  // namespace ferry::passes
