#include "ir/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "ir/fold.h"

namespace ferry::ir {

const Dim& Tensor::dim(int axis) const {
  const int rank_of = static_cast<int>(rank());
  const int at = axis < 0 ? axis + rank_of : axis;
  check_internal(at >= 0 && at < rank_of, fmt::format("{} has no axis {}", value_->name, axis));
  return (*value_->shape)[static_cast<size_t>(at)];
}

namespace op {
namespace {

Graph& graph_of(const std::vector<Tensor>& inputs) {
  const auto found = std::find_if(inputs.begin(), inputs.end(),
                                  [](const Tensor& tensor) { return static_cast<bool>(tensor); });
  check_internal(found != inputs.end(), "an operator without inputs");
  return found->graph();
}

std::vector<Value*> values_of(const std::vector<Tensor>& inputs) {
  std::vector<Value*> out;
  for (const Tensor& input : inputs) out.push_back(input.value());
  return out;
}

}  // namespace

Tensor weight(Graph& graph, std::string_view name, Weight weight) {
  return {graph, graph.add_weight(std::string(name), std::move(weight))};
}

Tensor scalar(Graph& graph, float value, DType dtype) {
  return weight(graph, "scalar", Weight::scalar(value, dtype));
}
Tensor scalar(Graph& graph, int64_t value) {
  return weight(graph, "scalar", Weight::scalar(value));
}

Tensor integers(Graph& graph, const std::vector<int64_t>& values) {
  return weight(graph, "integers", Weight::from_i64({static_cast<int64_t>(values.size())}, values));
}

Tensor scalar_like(const Tensor& like, double value) {
  if (like.dtype() == DType::i64) return scalar(like.graph(), static_cast<int64_t>(value));
  return scalar(like.graph(), static_cast<float>(value), like.dtype());
}

std::vector<Tensor> emit_n(std::string_view op_type, const std::vector<Tensor>& inputs, Attributes attributes,
                           size_t outputs, std::string_view domain) {
  Graph& graph = graph_of(inputs);
  const Node& node = graph.add_node(op_type, values_of(inputs), std::move(attributes), outputs, domain);
  std::vector<Tensor> out;
  for (Value* value : node.outputs) out.emplace_back(graph, value);
  return out;
}

Tensor emit(std::string_view op_type, const std::vector<Tensor>& inputs, Attributes attributes,
            std::string_view domain) {
  Graph& graph = graph_of(inputs);
  if (domain.empty()) {
    if (Value* folded = fold(graph, op_type, values_of(inputs), attributes)) return {graph, folded};
  }
  return emit_n(op_type, inputs, std::move(attributes), 1, domain)[0];
}

Tensor add(const Tensor& a, const Tensor& b) {
  return emit("Add", {a, b});
}
Tensor sub(const Tensor& a, const Tensor& b) {
  return emit("Sub", {a, b});
}
Tensor mul(const Tensor& a, const Tensor& b) {
  return emit("Mul", {a, b});
}
Tensor div(const Tensor& a, const Tensor& b) {
  return emit("Div", {a, b});
}
Tensor add(const Tensor& a, double b) {
  return add(a, scalar_like(a, b));
}
Tensor sub(double a, const Tensor& b) {
  return sub(scalar_like(b, a), b);
}
Tensor mul(const Tensor& a, double b) {
  return mul(a, scalar_like(a, b));
}
Tensor div(const Tensor& a, double b) {
  return div(a, scalar_like(a, b));
}
Tensor pow(const Tensor& a, double b) {
  return emit("Pow", {a, scalar_like(a, b)});
}
Tensor matmul(const Tensor& a, const Tensor& b) {
  return emit("MatMul", {a, b});
}

Tensor unary(std::string_view op_type, const Tensor& x) {
  return emit(op_type, {x});
}
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  return emit("Where", {condition, a, b});
}

Tensor cast(const Tensor& x, DType to) {
  if (x.dtype() == to) return x;
  return emit("Cast", {x}, {{"to", static_cast<int64_t>(onnx_number(to))}});
}

Tensor clip(const Tensor& x, std::optional<double> low, std::optional<double> high) {
  return emit("Clip", {x, low ? scalar_like(x, *low) : Tensor(), high ? scalar_like(x, *high) : Tensor()});
}

Tensor reshape(const Tensor& x, const std::vector<int64_t>& dims) {
  return reshape(x, integers(x.graph(), dims));
}
Tensor reshape(const Tensor& x, const Tensor& dims) {
  return emit("Reshape", {x, dims});
}
Tensor transpose(const Tensor& x, const std::vector<int64_t>& perm) {
  return emit("Transpose", {x}, {{"perm", perm}});
}
Tensor squeeze(const Tensor& x, const std::vector<int64_t>& axes) {
  return emit("Squeeze", {x, integers(x.graph(), axes)});
}
Tensor unsqueeze(const Tensor& x, const std::vector<int64_t>& axes) {
  return emit("Unsqueeze", {x, integers(x.graph(), axes)});
}
Tensor concat(const std::vector<Tensor>& parts, int64_t axis) {
  if (parts.size() == 1) return parts[0];
  return emit("Concat", parts, {{"axis", axis}});
}

std::vector<Tensor> split(const Tensor& x, int64_t axis, const std::vector<int64_t>& sizes) {
  return emit_n("Split", {x, integers(x.graph(), sizes)}, {{"axis", axis}}, sizes.size());
}

Tensor slice(const Tensor& x, int64_t axis, int64_t begin, int64_t end, int64_t step) {
  Graph& graph = x.graph();
  std::vector<Tensor> inputs = {x, integers(graph, {begin}), integers(graph, {end}), integers(graph, {axis})};
  if (step != 1) inputs.push_back(integers(graph, {step}));
  return emit("Slice", inputs);
}

Tensor slice(const Tensor& x, int64_t axis, const Tensor& begin, const Tensor& end) {
  return emit("Slice", {x, begin, end, integers(x.graph(), {axis})});
}

Tensor gather(const Tensor& data, const Tensor& indices, int64_t axis) {
  return emit("Gather", {data, indices}, {{"axis", axis}});
}
Tensor expand(const Tensor& x, const Tensor& dims) {
  return emit("Expand", {x, dims});
}

Tensor shape_of(const Tensor& x, int64_t begin, int64_t end) {
  Attributes attributes;
  if (begin != 0) attributes["start"] = begin;
  if (end != static_cast<int64_t>(x.rank())) attributes["end"] = end;
  return emit("Shape", {x}, std::move(attributes));
}

Tensor size_of(const Tensor& x, int64_t axis) {
  return squeeze(shape_of(x, axis, axis + 1), {0});
}

Tensor range(const Tensor& start, const Tensor& limit) {
  return emit("Range", {start, limit, scalar(limit.graph(), int64_t{1})});
}

Tensor reduce(std::string_view op_type, const Tensor& x, const std::vector<int64_t>& axes, bool keepdims) {
  return emit(op_type, {x, integers(x.graph(), axes)}, {{"keepdims", static_cast<int64_t>(keepdims)}});
}

Tensor softmax(const Tensor& x, int64_t axis) {
  return emit("Softmax", {x}, {{"axis", axis}});
}

Tensor layer_norm(const Tensor& x, const Tensor& scale, const Tensor& bias, float epsilon) {
  return emit("LayerNormalization", {x, scale, bias}, {{"axis", int64_t{-1}}, {"epsilon", epsilon}});
}

Tensor rms_norm(const Tensor& x, const Tensor& scale, float epsilon) {
  return emit("RMSNormalization", {x, scale}, {{"axis", int64_t{-1}}, {"epsilon", epsilon}});
}

Tensor attention(const Tensor& query, const Tensor& key, const Tensor& value,
                 const AttentionOptions& options) {
  Attributes attributes;
  if (query.rank() == 3) {
    attributes["q_num_heads"] = options.heads;
    attributes["kv_num_heads"] = options.kv_heads == 0 ? options.heads : options.kv_heads;
  }
  if (options.scale) attributes["scale"] = *options.scale;
  if (options.softcap != 0) attributes["softcap"] = options.softcap;
  if (options.causal) attributes["is_causal"] = int64_t{1};
  return emit("Attention", {query, key, value, options.mask}, std::move(attributes));
}

}  // namespace op
}  // namespace ferry::ir
