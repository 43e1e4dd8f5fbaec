#include "ir/fold.h"

#include <algorithm>

#include "base/error.h"
#include "ir/infer.h"

namespace ferry::ir {
namespace {

Dims constant_dims(const Shape& shape) {
  Dims out;
  for (const Dim& dim : shape) out.push_back(*dim.constant());
  return out;
}

bool is_constant_shape(const std::optional<Shape>& shape) {
  return shape && std::all_of(shape->begin(), shape->end(), [](const Dim& dim) { return dim.is_constant(); });
}

bool reshapes(std::string_view op) {
  return op == "Reshape" || op == "Squeeze" || op == "Unsqueeze" || op == "Flatten";
}

// Slice along one axis by step 1.
std::optional<Weight> folded_slice(const Node& node) {
  const Weight& data = *node.inputs[0]->weight;
  const bool simple = node.inputs.size() == 4 && node.inputs[3]->weight->count() == 1;
  if (!simple) return std::nullopt;
  const auto rank = static_cast<int64_t>(data.dims().size());
  int64_t axis = node.inputs[3]->weight->as_i64()[0];
  if (axis < 0) axis += rank;
  const int64_t size = data.dims().at(static_cast<size_t>(axis));
  const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size); };
  const int64_t begin = clamp(node.inputs[1]->weight->as_i64()[0]);
  return data.slice(static_cast<size_t>(axis), begin,
                    std::max(begin, clamp(node.inputs[2]->weight->as_i64()[0])));
}

std::optional<Weight> folded_weight(const Node& node, const Value& result) {
  const Weight& data = *node.inputs[0]->weight;
  if (node.op_type == "Transpose") {
    std::vector<int64_t> perm;
    for (size_t i = data.dims().size(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
    return data.transpose(node.get("perm", perm));
  }
  if (reshapes(node.op_type)) return data.reshape(constant_dims(*result.shape));
  if (node.op_type == "Cast" && is_floating(data.dtype()) && is_floating(result.dtype))
    return data.cast(result.dtype);
  if (node.op_type == "Identity") return data;
  if (node.op_type == "Slice") return folded_slice(node);
  if (node.op_type == "Concat") {
    std::vector<Weight> parts;
    for (const Value* input : node.inputs) parts.push_back(*input->weight);
    int64_t axis = node.get("axis", int64_t{0});
    if (axis < 0) axis += static_cast<int64_t>(data.dims().size());
    return Weight::concat(parts, static_cast<size_t>(axis));
  }
  return std::nullopt;
}

std::optional<Weight> folded_content(const Value& result) {
  if (!result.content || result.dtype != DType::i64) return std::nullopt;
  std::vector<int64_t> values;
  for (const Dim& dim : *result.content) {
    if (!dim.is_constant()) return std::nullopt;
    values.push_back(*dim.constant());
  }
  if (!is_constant_shape(result.shape)) return std::nullopt;
  return Weight::from_i64(constant_dims(*result.shape), values);
}

}  // namespace

Value* fold(Graph& graph, std::string_view op_type, const std::vector<Value*>& inputs,
            const Attributes& attributes) {
  const bool all_weights = std::all_of(inputs.begin(), inputs.end(), [](const Value* input) {
    return input != nullptr && input->is_weight();
  });
  const bool shape_arithmetic = std::all_of(inputs.begin(), inputs.end(), [](const Value* input) {
    return input != nullptr && (input->content || (input->is_weight() && is_integer(input->dtype)));
  });
  if (!all_weights && !shape_arithmetic && op_type != "Shape") return nullptr;
  Node node;
  node.op_type = op_type;
  node.name = graph.scope() + "/" + node.op_type;
  node.inputs = inputs;
  node.attributes = attributes;
  Value result;
  node.outputs = {&result};
  infer(node, graph.strict);
  std::optional<Weight> weight = folded_content(result);
  if (!weight && all_weights && is_constant_shape(result.shape)) weight = folded_weight(node, result);
  if (!weight) return nullptr;
  return graph.add_weight(inputs[0]->is_weight() ? inputs[0]->name : node.name, std::move(*weight));
}

}  // namespace ferry::ir
