#include "exporter/evaluate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "reference/interpreter.h"

namespace ferry::exporter {
namespace {

constexpr int64_t kMostElements = 1 << 20;

bool is_exact(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::boolean || is_integer(dtype);
}

// Of a result whose size inference knows.
bool is_modest(const ir::Value& value) {
  if (!value.shape || !is_exact(value.dtype) || bits_of(value.dtype) < 8) return false;
  int64_t count = 1;
  for (const ir::Dim& dim : *value.shape) {
    const auto size = dim.constant();
    if (!size || *size < 0 || *size > kMostElements) return false;
    count *= *size;
    if (count > kMostElements) return false;
  }
  return true;
}

Weight weight_of(const HostTensor& tensor, DType dtype) {
  HostTensor held = is_floating(dtype) && tensor.dtype != dtype ? tensor.to_floating(dtype) : tensor;
  return Weight::inline_bytes(dtype, held.dims, std::move(held.bytes));
}

}  // namespace

std::optional<std::vector<Weight>> evaluate(const ir::Node& node) {
  if (!reference::is_implemented(node.domain, node.op_type)) return std::nullopt;
  ir::Graph graph;
  graph.strict = false;
  ir::Node copy = node;
  for (ir::Value*& input : copy.inputs) {
    if (input == nullptr) continue;
    if (!is_exact(input->dtype)) return std::nullopt;
    input = graph.add_weight(input->name, *input->weight);
  }
  for (ir::Value*& output : copy.outputs) {
    if (output == nullptr || !is_modest(*output)) return std::nullopt;
    ir::Value value;
    value.name = output->name;
    value.dtype = output->dtype;
    value.shape = output->shape;
    output = graph.add_raw_value(std::move(value));
    graph.outputs.push_back(output);
  }
  graph.add_raw_node(std::move(copy));
  try {
    const auto results = reference::Interpreter(graph).run({});
    std::vector<Weight> out;
    for (const ir::Value* output : graph.outputs)
      out.push_back(weight_of(results.at(output->name), output->dtype));
    return out;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) throw;
    return std::nullopt;
  }
}

}  // namespace ferry::exporter
