#pragma once
#include <string>

#include "ir/graph.h"

namespace onnx {
class GraphProto;
class TensorProto;
}  // namespace onnx

namespace ferry::onnx {

/// Nodes (with the subgraphs in their attributes) and the name.
void nodes_to_proto(const ir::Graph& graph, ::onnx::GraphProto& out, bool value_info);
/// Inputs and outputs, and what is between them if `value_info`.
void interface_to_proto(const ir::Graph& graph, ::onnx::GraphProto& out, bool value_info);
/// Name, dtype and dims; no data.
void tensor_to_proto(const std::string& name, const Weight& weight, ::onnx::TensorProto& out);

}  // namespace ferry::onnx
