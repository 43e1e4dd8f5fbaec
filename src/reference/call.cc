#include "reference/call.h"

#include <fmt/format.h>

#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "reference/execution.h"
#include "reference/strides.h"

namespace ferry::reference {
namespace {

using Table = std::unordered_map<std::string, Function>;

Table make_table() {
  Table table;
  for (const auto ops : {unary_ops(),          binary_ops(),
                         cast_ops(),           shape_ops(),
                         index_ops(),          pad_ops(),
                         matrix_ops(),         einsum_ops(),
                         attention_ops(),      rotary_ops(),
                         reduction_ops(),      selection_ops(),
                         normalization_ops(),  convolution_ops(),
                         pooling_ops(),        resize_ops(),
                         grid_sample_ops(),    control_ops(),
                         microsoft_ops(),      quantization_ops(),
                         integer_matrix_ops(), microsoft_attention_ops()}) {
    for (const Op& op : ops) {
      const bool added = table.emplace(fmt::format("{}:{}", op.domain, op.op_type), op.function).second;
      check_internal(added, fmt::format("{} is implemented twice", op.op_type));
    }
  }
  return table;
}

}  // namespace

Function find_function(std::string_view domain, std::string_view op_type) {
  static const Table table = make_table();
  const auto found = table.find(fmt::format("{}:{}", domain, op_type));
  return found == table.end() ? nullptr : found->second;
}

Call::Call(const ir::Node& node, const Execution& execution)
    : node_(node), execution_(execution), inputs_(node.inputs.size()), results_(node.outputs.size()) {}

const Tensor& Call::input(size_t index) {
  if (!has(index)) fail(fmt::format("input {} is missing", index));
  Tensor& held = inputs_[index];
  if (!held) held = execution_.value(*node_.inputs[index]);
  return held;
}

const Weight* Call::weight(size_t index) const {
  const ir::Value* value = node_.input(index);
  return value != nullptr ? execution_.weight(*value) : nullptr;
}

std::vector<int64_t> Call::integers(size_t index) {
  const auto values = input(index).get<int64_t>();
  return {values.begin(), values.end()};
}

std::vector<int64_t> Call::integers(size_t index, std::vector<int64_t> otherwise) {
  return has(index) ? integers(index) : std::move(otherwise);
}

double Call::number(size_t index, double otherwise) {
  if (!has(index)) return otherwise;
  const Tensor& tensor = input(index);
  if (tensor.count() != 1) fail(fmt::format("input {} is not a single number", index));
  return for_kind(tensor.kind(),
                  [&]<typename T>(std::type_identity<T>) { return static_cast<double>(tensor.get<T>()[0]); });
}

int64_t Call::integer(size_t index, int64_t otherwise) {
  if (!has(index)) return otherwise;
  if (input(index).count() != 1) fail(fmt::format("input {} is not a single number", index));
  return input(index).get<int64_t>()[0];
}

size_t Call::axis(int64_t axis, size_t rank) const {
  const int64_t counted = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
  if (counted < 0 || counted >= static_cast<int64_t>(rank))
    fail(fmt::format("there is no axis {} in a tensor of rank {}", axis, rank));
  return static_cast<size_t>(counted);
}

Dims Call::broadcast(const Dims& a, const Dims& b) const {
  auto out = reference::broadcast(a, b);
  if (!out) fail(fmt::format("shapes {} and {} do not broadcast", to_string(a), to_string(b)));
  return *out;
}

void Call::set(size_t output, Tensor value) {
  if (wants(output)) results_[output] = std::move(value);
}

std::vector<Tensor> Call::run(const ir::Graph& body, std::vector<Tensor> inputs) const {
  return execution_.run_inner(body, std::move(inputs));
}

void Call::fail(std::string_view what) const {
  std::string shapes;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Weight* constant = weight(i);
    shapes += i > 0 ? ", " : "";
    shapes += inputs_[i] ? to_string(inputs_[i].dims()) : constant ? to_string(constant->dims()) : "-";
  }
  // The run adds which node it is.
  throw Error(ErrorCode::shape_mismatch, fmt::format("{}: inputs ({})", what, shapes));
}

void Call::unsupported(std::string_view what) const {
  throw Error(ErrorCode::unsupported, fmt::format("the interpreter does not compute {}", what));
}

}  // namespace ferry::reference
