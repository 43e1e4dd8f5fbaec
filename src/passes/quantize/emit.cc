#include "passes/quantize/emit.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "ir/infer.h"
#include "tensor/convert.h"

namespace ferry::passes {
namespace {

// Scalars for a tensor, vectors for channels.
Dims grid_dims(const Quantization& with, std::optional<size_t> axis) {
  return axis ? Dims{static_cast<int64_t>(with.scale.size())} : Dims{};
}

Weight scale_weight(const Quantization& with, std::optional<size_t> axis, DType dtype) {
  std::vector<std::byte> bytes(*byte_size(dtype, with.scale.size()));
  from_floats(with.scale, dtype, bytes.data());
  return Weight::inline_bytes(dtype, grid_dims(with, axis), std::move(bytes));
}

Weight zero_weight(const Quantization& with, std::optional<size_t> axis, DType dtype) {
  std::vector<std::byte> bytes;
  for (const int64_t zero : with.zero_point) bytes.push_back(static_cast<std::byte>(zero & 255));
  return Weight::inline_bytes(dtype, grid_dims(with, axis), std::move(bytes));
}

}  // namespace

ir::Node& Emitter::append(std::string_view op_type, std::string name, std::vector<ir::Value*> inputs,
                          std::vector<ir::Value*> outputs, ir::Attributes attributes,
                          std::string_view domain) {
  while (!inputs.empty() && inputs.back() == nullptr) inputs.pop_back();
  ir::Node node;
  node.op_type = op_type;
  node.domain = domain;
  node.name = name.empty() ? "" : graph_.unique_name(std::move(name));
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  node.attributes = std::move(attributes);
  ir::infer(node, false);
  if (!domain.empty() && graph_.opsets.find(domain) == graph_.opsets.end())
    graph_.opsets.emplace(std::string(domain), 1);
  return graph_.add_raw_node(std::move(node));
}

std::vector<ir::Value*> Emitter::make_n(std::string_view op_type, std::string name,
                                        std::vector<ir::Value*> inputs,
                                        const std::vector<std::string>& outputs, ir::Attributes attributes,
                                        std::string_view domain) {
  std::vector<ir::Value*> results;
  for (const auto& output : outputs) {
    ir::Value value;
    value.name = graph_.unique_name(output);
    results.push_back(graph_.add_raw_value(std::move(value)));
  }
  append(op_type, std::move(name), std::move(inputs), results, std::move(attributes), domain);
  return results;
}

ir::Value* Emitter::make(std::string_view op_type, std::string name, std::vector<ir::Value*> inputs,
                         std::string output, ir::Attributes attributes, std::string_view domain) {
  return make_n(op_type, std::move(name), std::move(inputs), {std::move(output)}, std::move(attributes),
                domain)[0];
}

void Emitter::make_into(ir::Value* result, std::string_view op_type, std::string name,
                        std::vector<ir::Value*> inputs, ir::Attributes attributes, std::string_view domain) {
  append(op_type, std::move(name), std::move(inputs), {result}, std::move(attributes), domain);
}

bool is_float_weight(const ir::Value* value) {
  return value != nullptr && value->is_weight() && (value->dtype == DType::f32 || value->dtype == DType::f16);
}

Quantization quantization_of(const ir::Value& weight, const IntegerFormat& format,
                             std::optional<size_t> axis) {
  return with_context(fmt::format("quantizing {}", printable(weight.name, 200)), [&] {
    const Weight& source = *weight.weight;
    return choose_quantization(value_range(source, axis), format, source.dtype());
  });
}

QuantizedTensor add_parameters(ir::Graph& graph, const std::string& name, const Quantization& with,
                               std::optional<size_t> axis, DType integers, DType stored) {
  QuantizedTensor out;
  out.axis = axis;
  out.scale = graph.add_weight(name + "_scale", scale_weight(with, axis, stored));
  out.zero_point = graph.add_weight(name + "_zero_point", zero_weight(with, axis, integers));
  return out;
}

QuantizedTensor add_quantized_weight(ir::Graph& graph, const ir::Value& weight, const Quantization& with,
                                     DType integers, std::optional<size_t> axis) {
  const Weight& source = *weight.weight;
  ir::Value* made = graph.add_weight(weight.name + "_quantized", quantize(source, with, axis, integers));
  QuantizedTensor out = add_parameters(graph, weight.name, with, axis, integers, source.dtype());
  out.integers = made;
  return out;
}

QuantizedTensor add_quantized_weight(ir::Graph& graph, const ir::Value& weight, const IntegerFormat& format,
                                     std::optional<size_t> axis) {
  return add_quantized_weight(graph, weight, quantization_of(weight, format, axis), format.dtype, axis);
}

}  // namespace ferry::passes
