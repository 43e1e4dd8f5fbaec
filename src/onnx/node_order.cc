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

using Names = std::unordered_set<std::string_view>;

void collect_used(const NodeProto& node, Names& used);

// What the graph mentions and does not make itself. A branch may call its results as the node around it does.
void collect_used(const GraphProto& graph, Names& used) {
  Names mentioned;
  for (const auto& inner : graph.node()) collect_used(inner, mentioned);
  for (const auto& output : graph.output()) mentioned.insert(output.name());
  for (const auto& inner : graph.node()) {
    for (const auto& output : inner.output()) mentioned.erase(output);
  }
  for (const auto& input : graph.input()) mentioned.erase(input.name());
  for (const auto& tensor : graph.initializer()) mentioned.erase(tensor.name());
  used.insert(mentioned.begin(), mentioned.end());
}

// Every name that the node or a graph inside it takes from around it.
void collect_used(const NodeProto& node, Names& used) {
  used.insert(node.input().begin(), node.input().end());
  for (const AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) collect_used(attribute.g(), used);
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
    Names used;
    collect_used(graph.node(static_cast<int>(i)), used);
    for (const std::string_view name : used) {
      const auto maker = makers.find(name);
      if (maker != makers.end()) needed.insert(maker->second);
    }
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
