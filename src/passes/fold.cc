#include "passes/fold.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

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

// Large weights by the operators that use them, in all graphs.
using Users = std::map<const Value*, std::set<std::string>>;

void collect_users(const ir::Graph& graph, Users& users) {
  for (const auto& node : graph.nodes()) {
    for (const Value* input : node->inputs) {
      if (input != nullptr && input->is_weight()) users[input].insert(node->domain + ":" + node->op_type);
    }
    for (const auto& [name, attribute] : node->attributes) {
      if (const auto* inner = std::get_if<ir::GraphPtr>(&attribute)) collect_users(**inner, users);
    }
  }
  for (const Value* output : graph.outputs) users[output].insert("output");
}

// A large weight that others need as it is would be stored twice: the embeddings that a language model's head
// transposes.
bool would_copy(const Node& node, const Users& users) {
  constexpr uint64_t kLarge = 1 << 16;
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](const Value* input) {
    if (input == nullptr || !input->is_weight() || input->weight->size_bytes() < kLarge) return false;
    const auto found = users.find(input);
    return found != users.end() && found->second.size() > 1;
  });
}

}  // namespace

size_t fold_constants(ir::Graph& graph, const Evaluator& evaluate, uint64_t most_bytes) {
  Users users;
  collect_users(graph, users);
  for (const auto& node : graph.nodes()) {
    const bool candidate = node->domain.empty() && !node->outputs.empty() && is_deterministic(*node) &&
                           std::none_of(node->outputs.begin(), node->outputs.end(), [&](const Value* output) {
                             return output == nullptr || is_output(graph, output);
                           });
    if (!candidate || would_copy(*node, users)) continue;
    const auto results = known_results(graph, *node, evaluate, most_bytes);
    for (size_t i = 0; i < results.size(); ++i) graph.replace_uses(node->outputs[i], results[i]);
  }
  return graph.remove_dead_nodes();
}

size_t untie_products(ir::Graph& graph) {
  size_t count = 0;
  for (const auto& node : graph.nodes()) {
    if (!node->is("MatMul") || node->input(1) == nullptr) continue;
    const Node* made = node->inputs[1]->producer;
    if (made == nullptr || !made->is("Transpose") || made->input(0) == nullptr ||
        !made->inputs[0]->is_weight())
      continue;
    if (Value* value = folded(graph, *made)) {
      node->inputs[1] = value;
      ++count;
    }
  }
  if (count > 0) graph.remove_dead_nodes();
  return count;
}

}  // namespace ferry::passes
