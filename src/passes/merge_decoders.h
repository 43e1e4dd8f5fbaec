#pragma once
#include "ir/graph.h"

namespace ferry::passes {

/// One graph of a decoder without and one with a cache: If(use_cache_branch) with_past else decoder. Inputs
/// are the decoder's, then the cache, then use_cache_branch bool[1]; results are the decoder's, of which
/// those that with_past lacks (the encoder's keys and values, which do not change) are empty there. Weights
/// are in the outer graph, once each. Both graphs are as they will be written: of one opset. Errors:
/// Error{internal} if with_past has a result that the decoder lacks. Source: optimum-onnx 0.1.0,
/// optimum/onnx/graph_transformations.py merge_decoders.
ir::Graph merge_decoders(ir::Graph decoder, ir::Graph with_past);

}  // namespace ferry::passes
