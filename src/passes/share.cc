#include "passes/share.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"

namespace ferry::passes {

std::string content_key(const Weight& weight) {
  constexpr uint64_t kSmall = 4096;  // Bytes.
  if (weight.size_bytes() > kSmall || weight.size_bytes() == 0) return weight.key();
  const auto bytes = weight.bytes();
  std::string key = fmt::format("{}{}:", to_string(weight.dtype()), to_string(weight.dims()));
  key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return key;
}

namespace {

size_t share_weights(ir::Graph& graph) {
  std::unordered_map<std::string, ir::Value*> known;
  size_t merged = 0;
  for (ir::Value* value : graph.used_weights()) {
    auto key = with_context(printable(value->name, 200), [&] { return content_key(*value->weight); });
    const auto [first, added] = known.emplace(std::move(key), value);
    if (added) continue;
    graph.replace_uses(value, first->second);
    ++merged;
  }
  return merged;
}

std::string attribute_key(const ir::Attribute& attribute) {
  struct Visitor {
    std::string operator()(int64_t v) const { return fmt::format("i{}", v); }
    std::string operator()(float v) const { return fmt::format("f{:a}", v); }
    std::string operator()(const std::string& v) const { return fmt::format("s{}:{}", v.size(), v); }
    std::string operator()(const std::vector<int64_t>& v) const {
      return fmt::format("I{}", fmt::join(v, ","));
    }
    std::string operator()(const std::vector<float>& v) const {
      return fmt::format("F{}", fmt::join(v, ","));
    }
    std::string operator()(const std::vector<std::string>& v) const {
      std::string out = "S";
      for (const auto& item : v) out += fmt::format("{}:{},", item.size(), item);
      return out;
    }
    std::string operator()(const Weight& v) const { return content_key(v); }
    std::string operator()(const ir::GraphPtr& v) const {
      return fmt::format("g{}", static_cast<const void*>(v.get()));
    }
  };
  return std::visit(Visitor{}, attribute);
}

std::string node_key(const ir::Node& node) {
  std::string key = fmt::format("{}:{}/{}", node.domain, node.op_type, node.outputs.size());
  for (const auto* input : node.inputs) key += fmt::format("|{}", static_cast<const void*>(input));
  for (const auto& [name, attribute] : node.attributes)
    key += fmt::format(";{}={}", name, attribute_key(attribute));
  return key;
}

bool is_random(const ir::Node& node) {
  return node.op_type.rfind("Random", 0) == 0 || node.op_type == "Bernoulli" || node.op_type == "Multinomial";
}

size_t share_nodes(ir::Graph& graph) {
  std::unordered_map<std::string, const ir::Node*> known;
  size_t merged = 0;
  for (const auto& node : graph.nodes()) {
    const bool makes_output =
        std::any_of(node->outputs.begin(), node->outputs.end(), [&](const ir::Value* value) {
          return std::find(graph.outputs.begin(), graph.outputs.end(), value) != graph.outputs.end();
        });
    if (is_random(*node)) continue;
    const auto [first, added] = known.emplace(node_key(*node), node.get());
    // Two outputs of the graph stay two values.
    if (added || makes_output) continue;
    for (size_t i = 0; i < node->outputs.size(); ++i) {
      if (node->outputs[i] != nullptr && first->second->outputs[i] != nullptr)
        graph.replace_uses(node->outputs[i], first->second->outputs[i]);
    }
    ++merged;
  }
  graph.remove_dead_nodes();
  return merged;
}

}  // namespace

size_t share(ir::Graph& graph) {
  const size_t weights = share_weights(graph);
  return weights + share_nodes(graph);
}

}  // namespace ferry::passes
