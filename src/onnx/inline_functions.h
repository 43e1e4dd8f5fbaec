#pragma once

namespace onnx {
class GraphProto;
class ModelProto;
}  // namespace onnx

namespace ferry::onnx {

/// Replaces every call of a function that the model defines, in `graph` and the graphs inside it, by the
/// function's nodes, whose values get names of their own; takes the functions and the opsets of their domains
/// out of the model, and adds those that the bodies need.
/// Errors: Error{invalid_file} for functions that call themselves, that are defined twice, or whose expansion
/// is out of proportion; Error{unsupported} for a body that was written for another opset than the model.
void inline_functions(::onnx::ModelProto& model, ::onnx::GraphProto& graph);

}  // namespace ferry::onnx
