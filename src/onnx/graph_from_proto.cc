#include "onnx/graph_from_proto.h"

#include <fmt/format.h>

#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "ir/infer.h"
#include "onnx-ml.pb.h"
#include "onnx/node_order.h"
#include "onnx/scope.h"

namespace ferry::onnx {
namespace {

using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::TypeProto;
using ::onnx::ValueInfoProto;

[[noreturn]] void invalid(std::string text) {
  throw Error(ErrorCode::invalid_file, std::move(text));
}
[[noreturn]] void unsupported(std::string text) {
  throw Error(ErrorCode::unsupported, std::move(text));
}

std::string quoted(const std::string& name) {
  return fmt::format("\"{}\"", printable(name, 120));
}

std::string title(const NodeProto& node) {
  return fmt::format("node {} ({})", quoted(node.name()), printable(node.op_type(), 60));
}

// Builds one graph; those in its attributes are built by further ones.
class GraphReader {
 public:
  // `root` is the outermost graph, where weights of inner ones are written, too: it gives names.
  GraphReader(const GraphProto& proto, const ReadContext& context, ir::Graph& out, ir::Graph& root,
              const Scope* outer)
      : proto_(proto), context_(context), out_(out), root_(root), scope_(outer) {
    out_.strict = false;
    if (&out_ != &root_) return;
    for (const auto& node : proto_.node()) {
      for (const auto& output : node.output()) root_.unique_name(output);
    }
  }

  void read(std::vector<NamedWeight> initializers) {
    if (proto_.sparse_initializer_size() > 0) {
      const auto& name = proto_.sparse_initializer(0).values().name();
      unsupported(fmt::format("the initializer {} is sparse", quoted(name)));
    }
    for (const auto& annotation : proto_.quantization_annotation()) {
      auto& tensors = out_.quantization_annotations[annotation.tensor_name()];
      for (const auto& entry : annotation.quant_parameter_tensor_names())
        tensors[entry.key()] = entry.value();
    }
    out_.name = proto_.name();
    out_.doc_string = proto_.doc_string();
    for (auto& initializer : initializers) add_weight(initializer.name, std::move(initializer.weight));
    for (const auto& input : proto_.input()) add_input(input);
    for (const auto& info : proto_.value_info()) declared_.emplace(info.name(), &info);
    for (const auto& output : proto_.output()) declared_.emplace(output.name(), &output);
    for (const size_t place : node_order(proto_)) add_node(proto_.node(static_cast<int>(place)));
    for (const auto& output : proto_.output()) add_output(output);
  }

 private:
  ir::Value* add_value(const std::string& name) {
    ir::Value value;
    value.name = name;
    ir::Value* added = out_.add_raw_value(std::move(value));
    if (!scope_.add(name, added)) invalid(fmt::format("two values are named {}", quoted(name)));
    return added;
  }

  void add_weight(const std::string& name, Weight weight) {
    if (name.empty()) invalid("an initializer without a name");
    ir::Value* value = add_value(name);
    value->dtype = weight.dtype();
    value->shape.emplace(weight.dims().begin(), weight.dims().end());
    value->weight = std::move(weight);
    if (&out_ != &root_) value->name = root_.unique_name(name);
  }

  void add_input(const ValueInfoProto& info) {
    if (info.name().empty()) invalid("an input without a name");
    const ir::Value* known = scope_.find_own(info.name());
    if (known != nullptr && known->is_weight()) return;  // A default value: a constant to us.
    ir::Value* value = add_value(info.name());
    set_type(info, *value, true);
    out_.inputs.push_back(value);
  }

  void add_output(const ValueInfoProto& info) {
    ir::Value* value = scope_.find(info.name());
    if (value == nullptr) invalid(fmt::format("nothing makes the output {}", quoted(info.name())));
    if (value->dtype == DType::undefined) set_type(info, *value, true);
    out_.outputs.push_back(value);
  }

  void set_type(const ValueInfoProto& info, ir::Value& value, bool must_be_tensor) const {
    value.doc_string = info.doc_string();
    const TypeProto& type = info.type();
    if (!type.has_tensor_type()) {
      const bool said = type.value_case() != TypeProto::VALUE_NOT_SET;
      if (said && must_be_tensor) unsupported(fmt::format("{} is not a tensor", quoted(info.name())));
      return;
    }
    const auto& tensor = type.tensor_type();
    value.dtype = dtype_from_onnx(tensor.elem_type());
    if (value.dtype == DType::undefined && tensor.elem_type() != 0) {
      unsupported(fmt::format("{} has the unknown element type {}", quoted(info.name()), tensor.elem_type()));
    }
    if (!tensor.has_shape()) return;
    ir::Shape shape;
    for (const auto& dim : tensor.shape().dim()) {
      if (dim.has_dim_value() && dim.dim_value() >= 0) {
        shape.emplace_back(dim.dim_value());
      } else if (!dim.dim_param().empty()) {
        shape.push_back(ir::Dim::symbol(dim.dim_param()));
      } else {
        shape.push_back(ir::Dim::symbol(fmt::format("?{}.{}", info.name(), shape.size())));
      }
    }
    value.shape = std::move(shape);
  }

  void add_node(const NodeProto& proto) {
    if (proto.op_type().empty()) invalid(fmt::format("{} has no operator", title(proto)));
    if (is_foldable_constant(proto)) return add_constant(proto);
    ir::Node node;
    node.domain = proto.domain() == "ai.onnx" ? "" : proto.domain();
    node.op_type = proto.op_type();
    node.name = proto.name();
    if (!node.name.empty()) (void)root_.unique_name(node.name);  // Taken.
    node.doc_string = proto.doc_string();
    for (const auto& entry : proto.metadata_props()) node.metadata[entry.key()] = entry.value();
    for (const auto& name : proto.input()) {
      ir::Value* value = name.empty() ? nullptr : scope_.find(name);
      if (value == nullptr && !name.empty())
        invalid(fmt::format("{} uses {}, which nothing makes", title(proto), quoted(name)));
      node.inputs.push_back(value);
    }
    for (const AttributeProto& attribute : proto.attribute()) {
      const bool added = node.attributes.emplace(attribute.name(), read_attribute(proto, attribute)).second;
      if (!added)
        invalid(fmt::format("{} has the attribute {} twice", title(proto), quoted(attribute.name())));
    }
    for (const auto& name : proto.output()) node.outputs.push_back(name.empty() ? nullptr : add_result(name));
    infer(out_.add_raw_node(std::move(node)));
  }

  ir::Value* add_result(const std::string& name) {
    ir::Value* value = add_value(name);
    const auto declared = declared_.find(name);
    if (declared != declared_.end()) set_type(*declared->second, *value, false);
    return value;
  }

  void infer(ir::Node& node) const {
    if (!context_.options.infer_shapes) return;
    const std::string refused = ir::infer_declared(node, ir::Trust::declared);
    if (!refused.empty() && context_.options.log != nullptr)
      context_.options.log->debug("shape inference stops: " + refused);
  }

  // A Constant whose result is a tensor that a Weight can hold.
  [[nodiscard]] bool is_foldable_constant(const NodeProto& node) const {
    const bool plain = node.op_type() == "Constant" &&
                       (node.domain().empty() || node.domain() == "ai.onnx") && node.output_size() == 1 &&
                       !node.output(0).empty() && node.attribute_size() == 1;
    if (context_.options.keep_constants || !plain) return false;
    for (const auto& output : proto_.output()) {
      if (output.name() == node.output(0)) return false;
    }
    const AttributeProto& attribute = node.attribute(0);
    const auto& name = attribute.name();
    return (name == "value" && attribute.has_t()) || name == "value_int" || name == "value_ints" ||
           name == "value_float" || name == "value_floats";
  }

  void add_constant(const NodeProto& node) {
    const AttributeProto& attribute = node.attribute(0);
    const auto& name = attribute.name();
    const auto weight = [&]() -> Weight {
      if (name == "value")
        return read_tensor(attribute.t(), context_.external, "the constant of " + title(node));
      if (name == "value_int") return Weight::scalar(int64_t{attribute.i()});
      if (name == "value_float") return Weight::scalar(attribute.f());
      if (name == "value_ints") {
        const std::vector<int64_t> values(attribute.ints().begin(), attribute.ints().end());
        return Weight::from_i64({attribute.ints_size()}, values);
      }
      const std::vector<float> values(attribute.floats().begin(), attribute.floats().end());
      return Weight::from_f32({attribute.floats_size()}, values);
    };
    add_weight(node.output(0), weight());
  }

  ir::Attribute read_attribute(const NodeProto& node, const AttributeProto& attribute) {
    if (!attribute.ref_attr_name().empty())
      invalid(fmt::format("{} refers to the attribute of a function", title(node)));
    switch (attribute.type()) {
      case AttributeProto::FLOAT:
        return attribute.f();
      case AttributeProto::INT:
        return int64_t{attribute.i()};
      case AttributeProto::STRING:
        return attribute.s();
      case AttributeProto::FLOATS:
        return std::vector<float>(attribute.floats().begin(), attribute.floats().end());
      case AttributeProto::INTS:
        return std::vector<int64_t>(attribute.ints().begin(), attribute.ints().end());
      case AttributeProto::STRINGS:
        return std::vector<std::string>(attribute.strings().begin(), attribute.strings().end());
      case AttributeProto::TENSOR:
        return read_tensor(attribute.t(), context_.external,
                           fmt::format("the attribute {} of {}", quoted(attribute.name()), title(node)));
      case AttributeProto::GRAPH:
        return read_subgraph(attribute.g());
      default:
        unsupported(fmt::format("the attribute {} of {} has a type ({}) that ferry does not hold",
                                quoted(attribute.name()), title(node), static_cast<int>(attribute.type())));
    }
  }

  ir::GraphPtr read_subgraph(const GraphProto& proto) {
    auto graph = std::make_shared<ir::Graph>();
    graph->use_names_of(root_);
    std::vector<NamedWeight> initializers;
    for (const auto& tensor : proto.initializer())
      initializers.push_back({tensor.name(), read_tensor(tensor, context_.external, "initializer")});
    GraphReader(proto, context_, *graph, root_, &scope_).read(std::move(initializers));
    return graph;
  }

  const GraphProto& proto_;
  const ReadContext& context_;
  ir::Graph& out_;
  ir::Graph& root_;
  Scope scope_;
  std::unordered_map<std::string, const ValueInfoProto*> declared_;
};

}  // namespace

void graph_from_proto(const GraphProto& proto, std::vector<NamedWeight> initializers,
                      const ReadContext& context, ir::Graph& out) {
  GraphReader(proto, context, out, out, nullptr).read(std::move(initializers));
}

}  // namespace ferry::onnx
