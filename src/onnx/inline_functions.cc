#include "onnx/inline_functions.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"
#include "onnx-ml.pb.h"

namespace ferry::onnx {
namespace {

using ::onnx::AttributeProto;
using ::onnx::FunctionProto;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using Nodes = google::protobuf::RepeatedPtrField<NodeProto>;

// A function that calls another twice, which calls another twice, ... grows without bounds.
constexpr size_t kDeepestCalls = 64;
constexpr size_t kMostNodes = 1'000'000;
constexpr size_t kMostBytes = size_t{1} << 28;

std::string domain_of(const std::string& domain) {
  return domain == "ai.onnx" ? "" : domain;
}

using Key = std::tuple<std::string, std::string, std::string>;  // Domain, name, overload.
using Names = std::unordered_map<std::string, std::string>;
using Arguments = std::unordered_map<std::string, const AttributeProto*>;

void collect_names(const GraphProto& graph, std::unordered_set<std::string>& names) {
  for (const auto& input : graph.input()) names.insert(input.name());
  for (const auto& tensor : graph.initializer()) names.insert(tensor.name());
  for (const auto& node : graph.node()) {
    names.insert(node.output().begin(), node.output().end());
    names.insert(node.input().begin(), node.input().end());
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) collect_names(attribute.g(), names);
    }
  }
}

class Inliner {
 public:
  explicit Inliner(const ModelProto& model) {
    for (const auto& function : model.functions()) {
      const Key key(domain_of(function.domain()), function.name(), function.overload());
      if (!functions_.emplace(key, &function).second)
        throw Error(ErrorCode::invalid_file,
                    fmt::format("the function {} is defined twice", title(function)));
    }
  }

  void run(GraphProto& graph) {
    collect_names(graph, taken_);
    expand_graph(graph);
  }

 private:
  static std::string title(const FunctionProto& function) {
    return fmt::format("\"{}\"", printable(function.name(), 120));
  }

  [[nodiscard]] const FunctionProto* function_of(const NodeProto& node) const {
    const auto found = functions_.find(Key(domain_of(node.domain()), node.op_type(), node.overload()));
    return found == functions_.end() ? nullptr : found->second;
  }

  std::string fresh(const std::string& wanted) {
    if (taken_.insert(wanted).second) return wanted;
    for (;;) {
      std::string name = fmt::format("{}_{}", wanted, ++counters_[wanted]);
      if (taken_.insert(name).second) return name;
    }
  }

  void expand_graph(GraphProto& graph) {
    Nodes nodes;
    nodes.Swap(graph.mutable_node());
    for (auto& node : nodes) expand_node(std::move(node), *graph.mutable_node());
  }

  void expand_node(NodeProto node, Nodes& out) {
    const FunctionProto* function = function_of(node);
    if (function != nullptr) return expand_call(node, *function, out);
    for (auto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) expand_graph(*attribute.mutable_g());
    }
    out.Add(std::move(node));
  }

  void expand_call(const NodeProto& call, const FunctionProto& function, Nodes& out) {
    if (++depth_ > kDeepestCalls) {
      throw Error(ErrorCode::invalid_file,
                  fmt::format("the function {} calls itself, or calls nest too deeply", title(function)));
    }
    Names names;
    for (int i = 0; i < function.input_size(); ++i)
      names[function.input(i)] = i < call.input_size() ? call.input(i) : "";
    Arguments arguments;
    for (const auto& attribute : function.attribute_proto()) arguments[attribute.name()] = &attribute;
    for (const auto& attribute : call.attribute()) arguments[attribute.name()] = &attribute;
    for (int i = 0; i < function.output_size() && i < call.output_size(); ++i) {
      const std::string& wanted = call.output(i);
      if (wanted.empty() || names.emplace(function.output(i), wanted).second) continue;
      // An input, or another output, is a result as it is.
      NodeProto identity;
      identity.set_op_type("Identity");
      identity.add_input(names[function.output(i)]);
      identity.add_output(wanted);
      out.Add(std::move(identity));
    }
    const std::string prefix = call.name().empty() ? function.name() : call.name();
    for (const auto& body : function.node()) {
      NodeProto node = body;
      account(node);
      if (!node.name().empty()) node.set_name(prefix + "/" + node.name());
      rename(node, names, arguments, prefix);
      expand_node(std::move(node), out);
    }
    --depth_;
  }

  void account(const NodeProto& node) {
    bytes_ += node.ByteSizeLong();
    if (++nodes_ > kMostNodes || bytes_ > kMostBytes)
      throw Error(ErrorCode::invalid_file, "the model's functions expand to more than any model holds");
  }

  std::string renamed(const std::string& name, Names& names, const std::string& prefix) {
    if (name.empty()) return name;
    const auto [place, added] = names.emplace(name, "");
    if (added) place->second = fresh(prefix + "/" + name);
    return place->second;
  }

  void rename(NodeProto& node, Names& names, const Arguments& arguments, const std::string& prefix) {
    for (auto& input : *node.mutable_input()) input = renamed(input, names, prefix);
    for (auto& output : *node.mutable_output()) output = renamed(output, names, prefix);
    auto* attributes = node.mutable_attribute();
    for (int i = 0; i < attributes->size();) {
      AttributeProto& attribute = (*attributes)[i];
      if (attribute.has_g()) rename(*attribute.mutable_g(), names, arguments, prefix);
      if (attribute.ref_attr_name().empty()) {
        ++i;
        continue;
      }
      const auto given = arguments.find(attribute.ref_attr_name());
      if (given == arguments.end()) {  // Neither given nor with a default: left out.
        attributes->DeleteSubrange(i, 1);
        continue;
      }
      const std::string name = attribute.name();
      attribute = *given->second;
      attribute.set_name(name);
      ++i;
    }
  }

  void rename(GraphProto& graph, Names& names, const Arguments& arguments, const std::string& prefix) {
    for (auto& input : *graph.mutable_input()) input.set_name(renamed(input.name(), names, prefix));
    for (auto& tensor : *graph.mutable_initializer()) tensor.set_name(renamed(tensor.name(), names, prefix));
    for (auto& node : *graph.mutable_node()) rename(node, names, arguments, prefix);
    for (auto& output : *graph.mutable_output()) output.set_name(renamed(output.name(), names, prefix));
    graph.clear_value_info();
  }

  std::map<Key, const FunctionProto*> functions_;
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, size_t> counters_;
  size_t depth_ = 0, nodes_ = 0, bytes_ = 0;
};

void collect_domains(const GraphProto& graph, std::unordered_set<std::string>& domains) {
  for (const auto& node : graph.node()) {
    domains.insert(domain_of(node.domain()));
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) collect_domains(attribute.g(), domains);
    }
  }
}

// The bodies' opsets become the model's.
void join_opsets(ModelProto& model) {
  std::map<std::string, int64_t> versions;
  for (const auto& import : model.opset_import()) versions[domain_of(import.domain())] = import.version();
  for (const auto& function : model.functions()) {
    for (const auto& import : function.opset_import()) {
      const auto [known, added] = versions.emplace(domain_of(import.domain()), import.version());
      if (added) *model.add_opset_import() = import;
      if (known->second == import.version()) continue;
      throw Error(
          ErrorCode::unsupported,
          fmt::format("the function \"{}\" is written for opset {} of the domain \"{}\", the model for {}",
                      printable(function.name(), 120), import.version(), printable(import.domain(), 120),
                      known->second));
    }
  }
}

void drop_unused_domains(ModelProto& model, const GraphProto& graph) {
  std::unordered_set<std::string> used, defined;
  collect_domains(graph, used);
  for (const auto& function : model.functions()) defined.insert(domain_of(function.domain()));
  auto* imports = model.mutable_opset_import();
  for (int i = imports->size(); i-- > 0;) {
    const std::string domain = domain_of((*imports)[i].domain());
    if (!domain.empty() && defined.count(domain) > 0 && used.count(domain) == 0)
      imports->DeleteSubrange(i, 1);
  }
}

}  // namespace

void inline_functions(ModelProto& model, GraphProto& graph) {
  if (model.functions_size() == 0) return;
  join_opsets(model);
  Inliner(model).run(graph);
  drop_unused_domains(model, graph);
  model.clear_functions();
}

}  // namespace ferry::onnx
