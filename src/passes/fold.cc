#include "passes/fold.h"

#include <algorithm>

#include "base/error.h"
#include "ir/fold.h"

namespace ferry::passes {
namespace {

using ir::Node;
using ir::Value;

bool is_output(const ir::Graph& graph, const Value* value) {
  return std::find(graph.outputs.begin(), graph.outputs.end(), value) != graph.outputs.end();
}

bool is_deterministic(const Node& node) {
  for (const std::string_view random : {"RandomNormal", "RandomUniform", "RandomNormalLike",
                                        "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout"}) {
    if (node.op_type == random) return false;
  }
  return std::none_of(node.attributes.begin(), node.attributes.end(),
                      [](const auto& entry) { return std::holds_alternative<ir::GraphPtr>(entry.second); });
}

// All inputs are weights, together of at most `most` bytes.
bool is_small(const Node& node, uint64_t most) {
  uint64_t total = 0;
  for (const Value* input : node.inputs) {
    if (input == nullptr) continue;
    if (!input->is_weight()) return false;
    total += input->weight->size_bytes();
  }
  return total <= most;
}

bool has_no_gaps(const Node& node) {
  return !node.inputs.empty() && std::none_of(node.inputs.begin(), node.inputs.end(),
                                              [](const Value* input) { return input == nullptr; });
}

// A graph that was read may hold what no inference accepts; such a node stays as it is.
Value* folded(ir::Graph& graph, const Node& node) {
  try {
    return ir::fold(graph, node.op_type, node.inputs, node.attributes);
  } catch (const Error& error) {
    if (graph.strict || error.code() == ErrorCode::internal) throw;
    return nullptr;
  }
}

std::vector<Value*> known_results(ir::Graph& graph, const Node& node, const Evaluator& evaluate,
                                  uint64_t most_bytes) {
  if (node.outputs.size() == 1 && has_no_gaps(node)) {
    if (Value* value = folded(graph, node)) return {value};
  }
  if (!evaluate || !is_small(node, most_bytes)) return {};
  const auto weights = evaluate(node);
  if (!weights) return {};
  std::vector<Value*> out;
  for (size_t i = 0; i < node.outputs.size(); ++i) out.push_back(graph.add_weight(node.name, weights->at(i)));
  return out;
}

}  // namespace

size_t fold_constants(ir::Graph& graph, const Evaluator& evaluate, uint64_t most_bytes) {
  for (const auto& node : graph.nodes()) {
    const bool candidate = node->domain.empty() && !node->outputs.empty() && is_deterministic(*node) &&
                           std::none_of(node->outputs.begin(), node->outputs.end(), [&](const Value* output) {
                             return output == nullptr || is_output(graph, output);
                           });
    if (!candidate) continue;
    const auto results = known_results(graph, *node, evaluate, most_bytes);
    for (size_t i = 0; i < results.size(); ++i) graph.replace_uses(node->outputs[i], results[i]);
  }
  return graph.remove_dead_nodes();
}

}  // namespace ferry::passes
