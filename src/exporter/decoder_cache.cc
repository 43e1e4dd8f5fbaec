#include "exporter/decoder_cache.h"

#include <algorithm>

#include "base/text.h"

namespace ferry::exporter {
namespace {

using ir::Node;
using ir::Value;

constexpr std::string_view kPast = "past_key_values";

// Inputs and outputs of the operator.
struct Place {
  size_t past, present;
};
constexpr Place kPlaces[] = {{3, 1}, {4, 2}};

bool is_group_query(const Node& node) {
  return node.is("GroupQueryAttention", ir::kMicrosoftDomain);
}

bool is_kept_by(const Node& node, const Value& past) {
  if (!is_group_query(node)) return false;
  const std::string present = "present" + past.name.substr(kPast.size());
  return std::any_of(std::begin(kPlaces), std::end(kPlaces), [&](const Place& place) {
    return node.input(place.past) == &past && place.present < node.outputs.size() &&
           node.outputs[place.present]->name == present;
  });
}

bool has_shared_buffer(const ir::Graph& graph, const Value& past) {
  size_t readers = 0;
  for (const auto& node : graph.nodes()) {
    if (std::find(node->inputs.begin(), node->inputs.end(), &past) == node->inputs.end()) continue;
    if (!is_kept_by(*node, past)) return false;
    ++readers;
  }
  return readers == 1;
}

}  // namespace

bool has_shared_cache(const ir::Graph& graph) {
  bool any = false;
  for (const Value* input : graph.inputs) {
    if (!starts_with(input->name, kPast)) continue;
    if (!has_shared_buffer(graph, *input)) return false;
    any = true;
  }
  return any;
}

void note_cache(ir::Graph& graph) {
  const auto& nodes = graph.nodes();
  if (std::any_of(nodes.begin(), nodes.end(), [](const auto& node) { return is_group_query(*node); }))
    graph.metadata[kGroupQueryAttention] = "true";
  if (has_shared_cache(graph)) graph.metadata[kSharedCache] = "true";
}

}  // namespace ferry::exporter
