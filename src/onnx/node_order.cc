#include "onnx/node_order.h"

#include <fmt/format.h>

#include <queue>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "onnx-ml.pb.h"

namespace ferry::onnx {
namespace {

using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;

// Every name that the node or a graph inside it mentions; the names that inner graphs make themselves are
// among them, which does no harm: a value of the same name outside would be ambiguous anyway.
template <typename Visit>
void for_each_used_name(const NodeProto& node, const Visit& visit) {
  for (const auto& input : node.input()) visit(input);
  const auto of_graph = [&](const GraphProto& graph) {
    for (const auto& inner : graph.node()) for_each_used_name(inner, visit);
    for (const auto& output : graph.output()) visit(output.name());
  };
  for (const AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) of_graph(attribute.g());
  }
}

using Makers = std::unordered_map<std::string_view, size_t>;

Makers makers_of(const GraphProto& graph) {
  Makers makers;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const auto& output : graph.node(i).output()) {
      if (output.empty() || makers.emplace(output, static_cast<size_t>(i)).second) continue;
      throw Error(ErrorCode::invalid_file,
                  fmt::format("two nodes make the value \"{}\"", printable(output, 120)));
    }
  }
  return makers;
}

}  // namespace

std::vector<size_t> node_order(const GraphProto& graph) {
  const Makers makers = makers_of(graph);
  const auto count = static_cast<size_t>(graph.node_size());
  std::vector<std::vector<size_t>> users(count);
  std::vector<size_t> missing(count, 0);
  for (size_t i = 0; i < count; ++i) {
    std::unordered_set<size_t> needed;
    for_each_used_name(graph.node(static_cast<int>(i)), [&](const std::string& name) {
      const auto maker = makers.find(name);
      if (maker != makers.end()) needed.insert(maker->second);
    });
    missing[i] = needed.size();
    for (const size_t maker : needed) users[maker].push_back(i);
  }
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < count; ++i) {
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<size_t> order;
  while (!ready.empty()) {
    const size_t next = ready.top();
    ready.pop();
    order.push_back(next);
    for (const size_t user : users[next]) {
      if (--missing[user] == 0) ready.push(user);
    }
  }
  if (order.size() == count) return order;
  size_t stuck = 0;
  while (missing[stuck] == 0) ++stuck;
  const NodeProto& node = graph.node(static_cast<int>(stuck));
  throw Error(ErrorCode::invalid_file,
              fmt::format("node \"{}\" ({}) uses what depends on it: the graph has a cycle",
                          printable(node.name(), 120), printable(node.op_type(), 60)));
}

}  // namespace ferry::onnx
