#pragma once
#include <cstddef>
#include <vector>

namespace onnx {
class GraphProto;
}

namespace ferry::onnx {

/// The places of the graph's nodes in an order in which each follows those that it uses, subgraphs included;
/// the order of the file where that is one. Errors: Error{invalid_file} that names a node of a cycle, or a
/// value that two nodes make.
std::vector<size_t> node_order(const ::onnx::GraphProto& graph);

}  // namespace ferry::onnx
