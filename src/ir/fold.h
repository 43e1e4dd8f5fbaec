#pragma once
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace ferry::ir {

/// What an operator of ONNX's own domain gives when its inputs are weights, as a new lazy weight; or, for
/// integer vectors whose content is known to be constant, as a small inline one. Nullptr where neither
/// applies. Nothing is read: Transpose, Reshape, Squeeze, Unsqueeze, Slice, Concat and Cast become weight
/// expressions.
Value* fold(Graph& graph, std::string_view op_type, const std::vector<Value*>& inputs,
            const Attributes& attributes);

}  // namespace ferry::ir
