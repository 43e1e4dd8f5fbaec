#include "passes/raise.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "passes/raise/matcher.h"
#include "passes/rewrite.h"

namespace ferry::passes {
namespace {

constexpr std::array kRaised = {"Attention",       "Gelu", "LayerNormalization", "Mish", "RMSNormalization",
                                "RotaryEmbedding", "Swish"};

void count(const ir::Graph& graph, std::map<std::string, size_t>& counts) {
  for (const auto& node : graph.nodes()) {
    for (const char* op_type : kRaised) {
      if (node->is(op_type)) ++counts[op_type];
    }
  }
}

// A rule only tries: what does not fit after all is no match.
Tensor tried(const RaiseRule& rule, const RaiseSite& site) {
  try {
    return rule.apply(site);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) throw;
    return {};
  }
}

bool replaces(const Tensor& made, const Value& old) {
  if (!made || made.dtype() != old.dtype) return false;
  return !old.shape || !made.value()->shape || old.rank() == made.rank();
}

void apply(ir::Graph& graph, std::span<const RaiseRule> rules) {
  for (size_t place = 0; place < graph.nodes().size(); ++place) {
    const Node& node = *graph.nodes()[place];
    const bool candidate =
        node.domain.empty() && node.outputs.size() == 1 && node.outputs[0] != nullptr && !node.inputs.empty();
    if (!candidate) continue;
    for (const RaiseRule& rule : rules) {
      if (!node.is(rule.op_type)) continue;
      const bool two_sided = node.is("Add") || node.is("Mul") || node.is("MatMul") || node.is("Concat");
      if (two_sided && node.inputs.size() < 2) continue;
      graph.set_insertion_point(place);
      const Tensor made = tried(rule, {graph, node});
      place = *graph.insertion_point();
      graph.set_insertion_point(std::nullopt);
      if (!replaces(made, *node.outputs[0])) continue;
      take_place(graph, node.outputs[0], made.value());
      break;
    }
  }
}

}  // namespace

std::map<std::string, size_t> raise(ir::Graph& graph, const RaiseOptions& options) {
  std::map<std::string, size_t> before, after;
  for_each_graph(graph, [&](ir::Graph& each) { count(each, before); });
  for_each_graph(graph, [&](ir::Graph& each) {
    const auto step = [&](bool wanted, std::span<const RaiseRule> rules) {
      if (!wanted) return;
      apply(each, rules);
      each.remove_dead_nodes();
    };
    step(options.normalization, raise_normalization_rules());
    step(options.activation, raise_activation_rules());
    step(options.rotary, raise_rotary_rules());
    step(options.attention, raise_attention_rules());
  });
  graph.remove_dead_nodes();
  for_each_graph(graph, [&](ir::Graph& each) { count(each, after); });
  for (auto& [op_type, found] : after) found -= std::min(found, before[op_type]);
  std::erase_if(after, [](const auto& entry) { return entry.second == 0; });
  return after;
}

}  // namespace ferry::passes
