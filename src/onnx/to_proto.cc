#include "onnx/to_proto.h"

#include <algorithm>

#include "base/error.h"
#include "onnx-ml.pb.h"

namespace ferry::onnx {
namespace {

void value_to_proto(const ir::Value& value, ::onnx::ValueInfoProto& out) {
  out.set_name(value.name);
  if (!value.doc_string.empty()) out.set_doc_string(value.doc_string);
  if (value.dtype == DType::undefined) return;
  auto& type = *out.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx_number(value.dtype));
  if (!value.shape) return;
  auto& shape = *type.mutable_shape();
  for (const ir::Dim& dim : *value.shape) {
    auto& to = *shape.add_dim();
    if (const auto constant = dim.constant()) {
      to.set_dim_value(*constant);
    } else if (const auto text = dim.str(); text.find('?') == std::string::npos) {
      to.set_dim_param(text);  // A "?" marks what had no name in the file it was read from.
    }
  }
}

// The alternatives of ir::Attribute, one function each.
struct AttributeWriter {
  ::onnx::AttributeProto& out;
  bool value_info;

  void operator()(int64_t value) const {
    out.set_type(::onnx::AttributeProto::INT);
    out.set_i(value);
  }
  void operator()(float value) const {
    out.set_type(::onnx::AttributeProto::FLOAT);
    out.set_f(value);
  }
  void operator()(const std::string& value) const {
    out.set_type(::onnx::AttributeProto::STRING);
    out.set_s(value);
  }
  void operator()(const std::vector<int64_t>& values) const {
    out.set_type(::onnx::AttributeProto::INTS);
    out.mutable_ints()->Add(values.begin(), values.end());
  }
  void operator()(const std::vector<float>& values) const {
    out.set_type(::onnx::AttributeProto::FLOATS);
    out.mutable_floats()->Add(values.begin(), values.end());
  }
  void operator()(const std::vector<std::string>& values) const {
    out.set_type(::onnx::AttributeProto::STRINGS);
    for (const auto& value : values) out.add_strings(value);
  }
  void operator()(const Weight& value) const {
    out.set_type(::onnx::AttributeProto::TENSOR);
    tensor_to_proto("", value, *out.mutable_t());
    const auto bytes = value.bytes();
    out.mutable_t()->set_raw_data(bytes.data(), bytes.size());
  }
  void operator()(const ir::GraphPtr& value) const {
    out.set_type(::onnx::AttributeProto::GRAPH);
    nodes_to_proto(*value, *out.mutable_g(), value_info);
    interface_to_proto(*value, *out.mutable_g(), value_info);
  }
};

void node_to_proto(const ir::Node& node, ::onnx::NodeProto& out, bool value_info) {
  out.set_name(node.name);
  out.set_op_type(node.op_type);
  if (!node.doc_string.empty()) out.set_doc_string(node.doc_string);
  for (const auto& [key, value] : node.metadata) {
    auto& entry = *out.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  if (!node.domain.empty()) out.set_domain(node.domain);
  for (const ir::Value* input : node.inputs) out.add_input(input != nullptr ? input->name : "");
  for (const ir::Value* output : node.outputs) out.add_output(output != nullptr ? output->name : "");
  for (const auto& [name, attribute] : node.attributes) {
    auto& to = *out.add_attribute();
    to.set_name(name);
    std::visit(AttributeWriter{to, value_info}, attribute);
  }
}

}  // namespace

void tensor_to_proto(const std::string& name, const Weight& weight, ::onnx::TensorProto& out) {
  if (!name.empty()) out.set_name(name);
  out.set_data_type(onnx_number(weight.dtype()));
  out.mutable_dims()->Add(weight.dims().begin(), weight.dims().end());
}

void nodes_to_proto(const ir::Graph& graph, ::onnx::GraphProto& out, bool value_info) {
  out.set_name(graph.name.empty() ? "graph" : graph.name);
  if (!graph.doc_string.empty()) out.set_doc_string(graph.doc_string);
  for (const auto& node : graph.nodes()) node_to_proto(*node, *out.add_node(), value_info);
}

void interface_to_proto(const ir::Graph& graph, ::onnx::GraphProto& out, bool value_info) {
  for (const ir::Value* input : graph.inputs) value_to_proto(*input, *out.add_input());
  for (const ir::Value* output : graph.outputs) value_to_proto(*output, *out.add_output());
  for (const auto& [tensor, parameters] : graph.quantization_annotations) {
    auto& annotation = *out.add_quantization_annotation();
    annotation.set_tensor_name(tensor);
    for (const auto& [role, name] : parameters) {
      auto& entry = *annotation.add_quant_parameter_tensor_names();
      entry.set_key(role);
      entry.set_value(name);
    }
  }
  if (!value_info) return;
  for (const auto& node : graph.nodes()) {
    for (const ir::Value* output : node->outputs) {
      const bool known = output != nullptr && output->dtype != DType::undefined;
      const bool result =
          std::find(graph.outputs.begin(), graph.outputs.end(), output) != graph.outputs.end();
      if (known && !result) value_to_proto(*output, *out.add_value_info());
    }
  }
}

}  // namespace ferry::onnx
