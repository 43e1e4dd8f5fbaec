#pragma once
#include "ir/graph.h"

namespace ferry::passes {

/// The opsets of ai.onnx that legalize() lowers to.
inline constexpr int kOldestOpset = 13;

/// Rewrites every operator, or form of one, that `opset` lacks by operators that it has, subgraphs included,
/// and declares that opset. Names, dtypes and shapes of inputs and outputs stay. A graph of an older opset is
/// left as it is: nothing is raised.
/// Errors: Error{usage} for an opset outside kOldestOpset .. ir::kNewestOpset, Error{unsupported} that names
/// the node and the opset it needs where there is no such rewriting; the graph is then in pieces, to be
/// thrown away.
void legalize(ir::Graph& graph, int opset);

}  // namespace ferry::passes
