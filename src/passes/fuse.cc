#include "passes/fuse.h"

#include <algorithm>

#include "passes/fuse/fusion.h"

namespace ferry::passes {
namespace {

void count(const ir::Graph& graph, std::unordered_map<const ir::Value*, size_t>& uses) {
  for (const auto& node : graph.nodes()) {
    for (const ir::Value* input : node->inputs) ++uses[input];
    for (const auto& [name, attribute] : node->attributes) {
      if (const auto* inner = std::get_if<ir::GraphPtr>(&attribute)) count(**inner, uses);
    }
  }
  for (const ir::Value* output : graph.outputs) ++uses[output];
}

bool apply(const FuseRule& rule, ir::Graph& graph, const FuseOptions& options) {
  Fusion at(graph, options);
  bool changed = false;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    ir::Node& node = *graph.nodes()[i];
    if (!node.is(rule.op_type)) continue;
    const std::string scope = graph.scope();
    const size_t before = graph.nodes().size();
    at.place_before(node);
    changed = rule.apply(at, node) || changed;
    graph.set_insertion_point(std::nullopt);
    graph.set_scope(scope);
    i += graph.nodes().size() - before;  // What was added lies before the node.
  }
  if (changed) graph.remove_dead_nodes();
  return changed;
}

std::map<std::string, size_t> count_microsoft(const ir::Graph& graph) {
  std::map<std::string, size_t> out;
  for (const auto& node : graph.nodes()) {
    if (node->domain == ir::kMicrosoftDomain || node->op_type == "SimplifiedLayerNormalization")
      ++out[node->op_type];
  }
  return out;
}

}  // namespace

Fusion::Fusion(ir::Graph& in_graph, const FuseOptions& given) : graph(in_graph), options(given) {
  count(graph, uses_);
}

size_t Fusion::uses(const ir::Value* value) const {
  const auto found = uses_.find(value);
  return found == uses_.end() ? 0 : found->second;
}

bool Fusion::is_output(const ir::Value* value) const {
  return std::find(graph.outputs.begin(), graph.outputs.end(), value) != graph.outputs.end();
}

void Fusion::place_before(const ir::Node& node) {
  const auto& nodes = graph.nodes();
  const auto found =
      std::find_if(nodes.begin(), nodes.end(), [&](const auto& other) { return other.get() == &node; });
  graph.set_insertion_point(static_cast<size_t>(found - nodes.begin()));
  graph.set_scope(node.name.substr(0, node.name.rfind('/')));
}

void Fusion::replace(ir::Value* old, const ir::Tensor& made) {
  if (is_output(old)) std::swap(old->name, made.value()->name);
  graph.replace_uses(old, made.value());
  uses_[made.value()] += uses(old);
}

bool is_vector_for(const ir::Value* value, const ir::Value* like) {
  return value != nullptr && value->is_weight() && value->rank() == 1 && like->rank() >= 1 &&
         value->dtype == like->dtype && (*value->shape)[0] == like->shape->back();
}

bool alike(const ir::Value* a, const ir::Value* b) {
  return a != nullptr && b != nullptr && a->shape && b->shape && a->dtype == b->dtype &&
         is_floating(a->dtype) && *a->shape == *b->shape;
}

std::optional<double> constant_number(const ir::Value* value) {
  if (value == nullptr || !value->is_weight() || value->weight->count() != 1) return std::nullopt;
  if (is_floating(value->dtype)) return value->weight->as_f32().at(0);
  return static_cast<double>(value->weight->as_i64().at(0));
}

std::optional<std::vector<int64_t>> constant_integers(const ir::Value* value) {
  if (value == nullptr || !value->is_weight() || !is_integer(value->dtype)) return std::nullopt;
  return value->weight->as_i64();
}

Biased without_bias(const Fusion& at, ir::Value* value) {
  const ir::Node* add = made_by(value, "Add");
  if (add == nullptr || !at.used_once(value)) return {value, nullptr};
  for (const size_t i : {0u, 1u}) {
    if (is_vector_for(add->inputs[i], value) && alike(add->inputs[1 - i], value))
      return {add->inputs[1 - i], add->inputs[i]};
  }
  return {value, nullptr};
}

std::map<std::string, size_t> fuse(ir::Graph& graph, const FuseOptions& options) {
  const auto before = count_microsoft(graph);
  for (const auto rules :
       {attention_fusions(), rotary_fusions(), normalization_fusions(), activation_fusions()}) {
    for (const FuseRule& rule : rules) {
      if (options.*rule.wanted) apply(rule, graph, options);
    }
  }
  auto made = count_microsoft(graph);
  for (const auto& [op_type, number] : before) made[op_type] -= std::min(made[op_type], number);
  std::erase_if(made, [](const auto& entry) { return entry.second == 0; });
  return made;
}

}  // namespace ferry::passes
