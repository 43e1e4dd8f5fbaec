#include "passes/simplify.h"

#include <algorithm>
#include <numeric>

#include "ir/op.h"

namespace ferry::passes {
namespace {

using ir::Node;
using ir::Value;

std::vector<int64_t> permutation(const Node& node) {
  std::vector<int64_t> perm(node.inputs[0]->rank());
  std::iota(perm.rbegin(), perm.rend(), 0);
  return node.get("perm", perm);
}

bool moves_nothing(const Node& node) {
  const Value& in = *node.inputs[0];
  const Value& out = *node.outputs[0];
  if (node.is("Identity")) return true;
  if (node.is("Cast")) return in.dtype == out.dtype && in.dtype != DType::undefined;
  if (node.is("Reshape")) return in.shape && out.shape && *in.shape == *out.shape;
  if (!node.is("Transpose") || !in.shape) return false;
  const auto perm = permutation(node);
  return std::is_sorted(perm.begin(), perm.end());
}

// Transpose(Transpose(x, a), b) takes axis a[b[i]] to place i.
void join_transposes(Node& node) {
  Node* before = node.inputs[0]->producer;
  if (before == nullptr || !before->is("Transpose") || !node.inputs[0]->shape) return;
  const auto first = permutation(*before);
  std::vector<int64_t> joined;
  for (const int64_t axis : permutation(node)) joined.push_back(first.at(static_cast<size_t>(axis)));
  node.inputs[0] = before->inputs[0];
  node.attributes["perm"] = joined;
}

// Reshape(Reshape(x)) becomes Reshape(x) if a 0 (the dimension of x at that place), a -1 and constants can
// say the last shape.
void join_reshapes(ir::Graph& graph, Node& node) {
  const Node* before = node.inputs[0]->producer;
  if (before == nullptr || !before->is("Reshape") || !node.inputs[1]->is_weight()) return;
  Value* from = before->inputs[0];
  if (!from->shape || !node.outputs[0]->shape || node.attributes.count("allowzero") > 0) return;
  std::vector<int64_t> dims;
  for (size_t i = 0; i < node.outputs[0]->rank(); ++i) {
    const ir::Dim& wanted = (*node.outputs[0]->shape)[i];
    const bool kept = i < from->rank() && (*from->shape)[i] == wanted;
    dims.push_back(wanted.is_constant() ? *wanted.constant() : kept ? 0 : -1);
  }
  const bool sayable = std::count(dims.begin(), dims.end(), -1) <= 1 &&
                       std::none_of(node.outputs[0]->shape->begin(), node.outputs[0]->shape->end(),
                                    [](const ir::Dim& dim) { return dim == ir::Dim(0); });
  if (!sayable) return;
  node.inputs[0] = from;
  node.inputs[1] = ir::op::integers(graph, dims).value();
}

}  // namespace

size_t simplify(ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    const bool plain = node->domain.empty() && !node->inputs.empty() && node->inputs[0] != nullptr &&
                       node->outputs.size() == 1 && node->outputs[0] != nullptr;
    if (!plain) continue;
    if (node->is("Transpose")) join_transposes(*node);
    if (node->is("Reshape") && node->input(1) != nullptr) join_reshapes(graph, *node);
    const bool output =
        std::find(graph.outputs.begin(), graph.outputs.end(), node->outputs[0]) != graph.outputs.end();
    if (!output && moves_nothing(*node)) graph.replace_uses(node->outputs[0], node->inputs[0]);
  }
  return graph.remove_dead_nodes();
}

}  // namespace ferry::passes
