#include "passes/rewrite.h"

#include <utility>

namespace ferry::passes {

void take_place(ir::Graph& graph, ir::Value* old, ir::Value* made) {
  graph.replace_uses(old, made);
  std::swap(old->name, made->name);
  std::swap(old->doc_string, made->doc_string);
  if (!made->shape) made->shape = old->shape;
}

void for_each_graph(ir::Graph& graph, const std::function<void(ir::Graph&)>& visit) {
  for (const auto& node : graph.nodes()) {
    for (auto& [name, attribute] : node->attributes) {
      if (auto* inner = std::get_if<ir::GraphPtr>(&attribute)) for_each_graph(**inner, visit);
    }
  }
  visit(graph);
}

}  // namespace ferry::passes
