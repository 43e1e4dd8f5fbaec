#include "ir/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "ir/infer.h"

namespace ferry::ir {
namespace {

template <typename T>
const T* find_as(const Node& node, std::string_view attribute) {
  const auto found = node.attributes.find(attribute);
  if (found == node.attributes.end()) return nullptr;
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) {
    throw Error(ErrorCode::invalid_file,
                fmt::format("attribute {} of node {} ({}) has another type than the operator asks for",
                            attribute, printable(node.name), node.op_type));
  }
  return value;
}

template <typename Visit>
void for_each_subgraph(const Node& node, Visit visit) {
  for (const auto& [name, attribute] : node.attributes) {
    if (const auto* graph = std::get_if<GraphPtr>(&attribute)) visit(**graph);
  }
}

void collect_weights(const Graph& graph, std::vector<Value*>& out, std::unordered_set<const Value*>& seen) {
  const auto take = [&](Value* value) {
    if (value != nullptr && value->is_weight() && seen.insert(value).second) out.push_back(value);
  };
  for (const auto& node : graph.nodes()) {
    for (Value* input : node->inputs) take(input);
    for_each_subgraph(*node, [&](const Graph& inner) { collect_weights(inner, out, seen); });
  }
  for (Value* output : graph.outputs) take(output);
}

void collect_uses(const Graph& graph, std::unordered_set<const Value*>& used) {
  for (const auto& node : graph.nodes()) {
    used.insert(node->inputs.begin(), node->inputs.end());
    for_each_subgraph(*node, [&](const Graph& inner) { collect_uses(inner, used); });
  }
  used.insert(graph.outputs.begin(), graph.outputs.end());
}

}  // namespace

template <typename T>
const T* Node::find(std::string_view attribute) const {
  return find_as<T>(*this, attribute);
}
template const int64_t* Node::find(std::string_view) const;
template const float* Node::find(std::string_view) const;
template const std::string* Node::find(std::string_view) const;
template const std::vector<int64_t>* Node::find(std::string_view) const;
template const std::vector<float>* Node::find(std::string_view) const;
template const std::vector<std::string>* Node::find(std::string_view) const;
template const Weight* Node::find(std::string_view) const;
template const GraphPtr* Node::find(std::string_view) const;

int64_t Node::get(std::string_view attribute, int64_t otherwise) const {
  const auto* value = find<int64_t>(attribute);
  return value != nullptr ? *value : otherwise;
}
float Node::get(std::string_view attribute, float otherwise) const {
  const auto* value = find<float>(attribute);
  return value != nullptr ? *value : otherwise;
}
std::string Node::get(std::string_view attribute, const std::string& otherwise) const {
  const auto* value = find<std::string>(attribute);
  return value != nullptr ? *value : otherwise;
}
std::vector<int64_t> Node::get(std::string_view attribute, const std::vector<int64_t>& otherwise) const {
  const auto* value = find<std::vector<int64_t>>(attribute);
  return value != nullptr ? *value : otherwise;
}

Graph::Graph() = default;
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

std::string Graph::unique_name(std::string wanted) {
  const int uses = (*names_)[wanted]++;
  if (uses == 0) return wanted;
  // "x_1" may itself be taken by a value that was named so.
  return unique_name(fmt::format("{}_{}", wanted, uses));
}

Value* Graph::add_raw_value(Value value) {
  (*names_)[value.name]++;
  values_.push_back(std::make_unique<Value>(std::move(value)));
  return values_.back().get();
}

Value* Graph::add_input(std::string input_name, DType dtype, Shape shape) {
  Value value;
  value.name = unique_name(std::move(input_name));
  value.dtype = dtype;
  value.shape = std::move(shape);
  values_.push_back(std::make_unique<Value>(std::move(value)));
  inputs.push_back(values_.back().get());
  return inputs.back();
}

Value* Graph::add_weight(std::string weight_name, Weight weight) {
  Value value;
  value.name = unique_name(std::move(weight_name));
  value.dtype = weight.dtype();
  value.shape.emplace(weight.dims().begin(), weight.dims().end());
  value.weight = std::move(weight);
  values_.push_back(std::make_unique<Value>(std::move(value)));
  return values_.back().get();
}

Node& Graph::add_raw_node(Node node) {
  const size_t at = insertion_.value_or(nodes_.size());
  auto owned = std::make_unique<Node>(std::move(node));
  Node& added = *owned;
  for (Value* output : added.outputs) {
    if (output != nullptr) output->producer = &added;
  }
  nodes_.insert(nodes_.begin() + static_cast<std::ptrdiff_t>(at), std::move(owned));
  if (insertion_) ++*insertion_;
  return added;
}

Node& Graph::add_node(std::string_view op_type, std::vector<Value*> node_inputs, Attributes attributes,
                      size_t output_count, std::string_view domain) {
  while (!node_inputs.empty() && node_inputs.back() == nullptr) node_inputs.pop_back();
  Node node;
  node.domain = domain;
  node.op_type = op_type;
  node.name = unique_name(scope_ + "/" + node.op_type);
  node.inputs = std::move(node_inputs);
  node.attributes = std::move(attributes);
  std::vector<std::unique_ptr<Value>> made;
  for (size_t i = 0; i < output_count; ++i) {
    made.push_back(std::make_unique<Value>());
    node.outputs.push_back(made.back().get());
  }
  infer(node, strict);  // May throw: nothing of the graph has changed yet but the counter of names.
  for (size_t i = 0; i < output_count; ++i)
    made[i]->name = unique_name(fmt::format("{}_output_{}", node.name, i));
  std::move(made.begin(), made.end(), std::back_inserter(values_));
  if (!domain.empty() && opsets.find(domain) == opsets.end()) opsets.emplace(domain, 1);
  return add_raw_node(std::move(node));
}

void Graph::add_output(std::string output_name, Value* value) {
  const bool is_input = std::find(inputs.begin(), inputs.end(), value) != inputs.end();
  const bool is_output = std::find(outputs.begin(), outputs.end(), value) != outputs.end();
  if (value->is_weight() || is_input || is_output) value = add_node("Identity", {value}).outputs[0];
  value->name = unique_name(std::move(output_name));
  outputs.push_back(value);
}

std::vector<Value*> Graph::used_weights() const {
  std::vector<Value*> out;
  std::unordered_set<const Value*> seen;
  collect_weights(*this, out, seen);
  return out;
}

void Graph::replace_uses(Value* from, Value* to) {
  for (auto& node : nodes_) {
    std::replace(node->inputs.begin(), node->inputs.end(), from, to);
    for (auto& [key, attribute] : node->attributes) {
      if (auto* inner = std::get_if<GraphPtr>(&attribute)) (*inner)->replace_uses(from, to);
    }
  }
  std::replace(outputs.begin(), outputs.end(), from, to);
}

size_t Graph::remove_dead_nodes() {
  const size_t before = nodes_.size();
  std::unordered_set<const Value*> used(outputs.begin(), outputs.end());
  std::vector<bool> alive(before, false);
  // From the last on: whoever uses a node's results has been seen.
  for (size_t i = before; i-- > 0;) {
    const Node& node = *nodes_[i];
    alive[i] = std::any_of(node.outputs.begin(), node.outputs.end(),
                           [&](const Value* output) { return output != nullptr && used.count(output) > 0; });
    if (!alive[i]) continue;
    used.insert(node.inputs.begin(), node.inputs.end());
    for_each_subgraph(node, [&](const Graph& inner) { collect_uses(inner, used); });
  }
  size_t place = 0;
  std::erase_if(nodes_, [&](const std::unique_ptr<Node>&) { return !alive[place++]; });
  return before - nodes_.size();
}

void Graph::infer_shapes() {
  for (auto& node : nodes_) {
    for (auto& [key, attribute] : node->attributes) {
      if (auto* inner = std::get_if<GraphPtr>(&attribute)) (*inner)->infer_shapes();
    }
    infer(*node, strict);
  }
}

std::string to_string(const Graph& graph) {
  std::string out = "graph " + graph.name + "\n";
  const auto typed = [](const Value& value) {
    return fmt::format("%{} {}{}", value.name, ferry::to_string(value.dtype),
                       value.shape ? to_string(*value.shape) : "?");
  };
  for (const Value* input : graph.inputs) out += "  input " + typed(*input) + "\n";
  for (const auto& node : graph.nodes()) {
    std::string line = "  ";
    for (size_t i = 0; i < node->outputs.size(); ++i) line += (i > 0 ? ", " : "") + typed(*node->outputs[i]);
    line += fmt::format(" = {}{}{}(", node->domain, node->domain.empty() ? "" : ".", node->op_type);
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      if (i > 0) line += ", ";
      line += node->inputs[i] != nullptr ? "%" + node->inputs[i]->name : std::string("-");
    }
    out += line + ")\n";
  }
  for (const Value* output : graph.outputs) out += "  output " + typed(*output) + "\n";
  return out;
}

void verify(const Graph& graph) {
  std::unordered_set<const Value*> made;
  std::unordered_set<std::string_view> names;
  for (const auto& node : graph.nodes()) {
    for (const Value* output : node->outputs) {
      if (output == nullptr) continue;
      check_internal(output->producer == node.get(),
                     fmt::format("{} does not know that {} makes it", output->name, node->name));
      check_internal(names.insert(output->name).second, fmt::format("two values are named {}", output->name));
    }
  }
  for (const Value* weight : graph.used_weights()) {
    check_internal(names.insert(weight->name).second, fmt::format("two values are named {}", weight->name));
  }
  std::unordered_set<const Node*> own;
  for (const auto& node : graph.nodes()) own.insert(node.get());
  for (const auto& node : graph.nodes()) {
    for (const Value* input : node->inputs) {
      const bool later = input != nullptr && input->producer != nullptr && own.count(input->producer) > 0 &&
                         made.count(input) == 0;
      check_internal(!later, fmt::format("{} uses {} before it is made", node->name,
                                         input != nullptr ? input->name : ""));
    }
    made.insert(node->outputs.begin(), node->outputs.end());
  }
  for (const Value* output : graph.outputs) {
    const bool known = output->is_weight() || made.count(output) > 0 ||
                       std::find(graph.inputs.begin(), graph.inputs.end(), output) != graph.inputs.end();
    check_internal(known, fmt::format("nothing makes the output {}", output->name));
  }
}

}  // namespace ferry::ir
