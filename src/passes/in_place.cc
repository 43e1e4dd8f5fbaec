#include "passes/in_place.h"

#include <map>

namespace ferry::passes {

size_t expose_stored_weights(ir::Graph& graph) {
  std::map<std::string, ir::Value*> stored;  // By Weight::key().
  const auto weights = graph.used_weights();
  for (ir::Value* value : weights) stored.emplace(value->weight->key(), value);
  size_t count = 0;
  graph.set_insertion_point(0);
  for (ir::Value* value : weights) {
    if (value->weight->stored_bytes()) continue;
    auto straight = value->weight->untransposed();
    if (!straight || !straight->first.file_range()) continue;
    ir::Value*& source = stored[straight->first.key()];
    if (source == nullptr) source = graph.add_weight(value->name, std::move(straight->first));
    const ir::NameScope scope(graph, "/" + value->name);
    ir::Value* transposed =
        graph.add_node("Transpose", {source}, {{"perm", std::move(straight->second)}}).outputs[0];
    graph.replace_uses(value, transposed);
    ++count;
  }
  graph.set_insertion_point(std::nullopt);
  return count;
}

}  // namespace ferry::passes
