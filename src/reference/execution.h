#pragma once
// One run of one graph: its values while they are needed.
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"
#include "reference/interpreter.h"
#include "reference/tensor.h"

namespace ferry::reference {

class Execution {
 public:
  /// `outer` is the run of the graph around a subgraph, whose values the subgraph sees.
  Execution(const ir::Graph& graph, const InterpreterOptions& options, const Execution* outer = nullptr);

  /// Results in the order of the graph's outputs.
  std::vector<Tensor> run(std::vector<Tensor> inputs);
  std::vector<Tensor> run_inner(const ir::Graph& graph, std::vector<Tensor> inputs) const;

  /// A value of this graph or one around it. Errors: Error{internal} if it is not computed yet.
  [[nodiscard]] Tensor value(const ir::Value& value) const;
  /// What a value is as it is stored: a weight, or one that a Transpose turned; nullptr if it is computed.
  [[nodiscard]] const Weight* weight(const ir::Value& value) const;

 private:
  using Uses = std::unordered_map<const ir::Value*, size_t>;
  void bind_symbols();
  void run_node(size_t index);
  bool turns_weight(const ir::Node& node);
  void take_results(const ir::Node& node, std::vector<Tensor>& results);
  void check_dims(const ir::Node& node, const ir::Value& value, const Tensor& tensor) const;
  [[nodiscard]] Tensor settled(const ir::Value& value, Tensor tensor) const;

  const ir::Graph& graph_;
  const InterpreterOptions& options_;
  const Execution* outer_;
  std::unordered_map<const ir::Value*, Tensor> values_;
  std::unordered_map<const ir::Value*, Weight>
      turned_;     // Weights that a Transpose turns: read where they lie.
  Uses last_use_;  // Index of the last node that needs a value.
  std::map<std::string, int64_t, std::less<>> symbols_;  // Sizes that the inputs gave the named dimensions.
};

}  // namespace ferry::reference
