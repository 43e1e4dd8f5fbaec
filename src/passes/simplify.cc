#include "passes/simplify.h"

#include <algorithm>
#include <numeric>
#include <optional>

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

bool same_shape(const Value& a, const Value& b) {
  return a.dtype == b.dtype && a.shape && b.shape && *a.shape == *b.shape;
}

// A constant that is `wanted` alone.
bool is_number(const Value* value, float wanted) {
  const bool single =
      value != nullptr && value->is_weight() && value->weight->count() == 1 &&
      (is_floating(value->dtype) || is_integer(value->dtype) || value->dtype == DType::boolean);
  return single && value->weight->as_f32()[0] == wanted;
}

// x + 0, x * 1, x and true, ...: the input that comes out as it is, else nullptr.
Value* neutral(const Node& node) {
  if (node.inputs.size() != 2 || node.inputs[1] == nullptr) return nullptr;
  const bool sum = node.is("Add") || node.is("Or"), product = node.is("Mul") || node.is("And");
  if (!sum && !product && !node.is("Sub") && !node.is("Div")) return nullptr;
  const float number = product || node.is("Div") ? 1.0f : 0.0f;
  Value* kept = is_number(node.inputs[1], number)                       ? node.inputs[0]
                : (sum || product) && is_number(node.inputs[0], number) ? node.inputs[1]
                                                                        : nullptr;
  return kept != nullptr && same_shape(*kept, *node.outputs[0]) ? kept : nullptr;
}

bool moves_nothing(const Node& node) {
  const Value& in = *node.inputs[0];
  const Value& out = *node.outputs[0];
  if (node.is("Concat")) return node.inputs.size() == 1;
  if (node.is("Expand")) return same_shape(in, out);
  if (node.is("Identity")) return true;
  if (node.is("Dropout")) return node.input(2) == nullptr;  // Not training.
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

// What to tell Reshape so that `from` becomes `to`: 0 keeps the dimension at that place, one -1 takes what is
// left, the others are constants. Nothing if that does not say it.
std::optional<std::vector<int64_t>> sayable(const Value& from, const Value& to) {
  std::vector<int64_t> dims;
  for (size_t i = 0; i < to.rank(); ++i) {
    const ir::Dim& wanted = (*to.shape)[i];
    if (wanted == ir::Dim(0)) return std::nullopt;
    const bool kept = i < from.rank() && (*from.shape)[i] == wanted;
    dims.push_back(wanted.is_constant() ? *wanted.constant() : kept ? 0 : -1);
  }
  if (std::count(dims.begin(), dims.end(), -1) > 1) return std::nullopt;
  return dims;
}

// Reshape(Reshape(x)) becomes Reshape(x), and a shape that is computed a constant one, where that can be
// said.
void say_reshape(ir::Graph& graph, Node& node) {
  const Node* before = node.inputs[0]->producer;
  const bool joins = before != nullptr && before->is("Reshape") && node.inputs[1]->is_weight();
  if (node.inputs[1]->is_weight() && !joins) return;
  Value* from = joins ? before->inputs[0] : node.inputs[0];
  if (from == nullptr || !from->shape || !node.outputs[0]->shape) return;
  if (joins && node.attributes.count("allowzero") > 0) return;
  const auto dims = sayable(*from, *node.outputs[0]);
  if (!dims) return;
  node.inputs[0] = from;
  node.inputs[1] = ir::op::integers(graph, *dims).value();
  const auto allowzero = node.attributes.find("allowzero");
  if (allowzero != node.attributes.end()) node.attributes.erase(allowzero);
}

}  // namespace

size_t simplify(ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    const bool plain = node->domain.empty() && !node->inputs.empty() && node->inputs[0] != nullptr &&
                       node->outputs.size() == 1 && node->outputs[0] != nullptr;
    if (!plain) continue;
    if (node->is("Transpose")) join_transposes(*node);
    if (node->is("Reshape") && node->input(1) != nullptr) say_reshape(graph, *node);
    const bool output =
        std::find(graph.outputs.begin(), graph.outputs.end(), node->outputs[0]) != graph.outputs.end();
    if (output) continue;
    if (moves_nothing(*node)) {
      graph.replace_uses(node->outputs[0], node->inputs[0]);
    } else if (Value* kept = neutral(*node)) {
      graph.replace_uses(node->outputs[0], kept);
    }
  }
  return graph.remove_dead_nodes();
}

}  // namespace ferry::passes
