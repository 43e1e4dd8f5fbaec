#pragma once
// Which nodes are quantized.
#include <set>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace ferry::passes {

struct NodeSelection {
  std::vector<std::string> operators;  ///< op_type of those that may be.
  std::vector<std::string> nodes;      ///< Names of the only ones; empty: all.
  std::vector<std::string> excluded;   ///< Names of those that may not.
};

/// Looks names up quickly.
class Selected {
 public:
  /// Errors: Error{usage} for a name that no node of the graph or its subgraphs has: it lists the nearest.
  Selected(const NodeSelection& selection, const ir::Graph& graph);

  [[nodiscard]] bool operator()(const ir::Node& node) const { return (*this)(node, node.op_type); }
  /// Taken for an operator of another kind: a Gemm that becomes a MatMul.
  [[nodiscard]] bool operator()(const ir::Node& node, std::string_view op_type) const {
    if (operators_.count(op_type) == 0 || excluded_.count(node.name) > 0) return false;
    return nodes_.empty() || nodes_.count(node.name) > 0;
  }

 private:
  std::set<std::string, std::less<>> operators_, nodes_, excluded_;
};

/// Errors: Error{usage} if the graph holds operators on quantized tensors already.
void require_not_quantized(const ir::Graph& graph);

}  // namespace ferry::passes
