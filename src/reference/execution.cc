#include "reference/execution.h"

#include <fmt/format.h>

#include <limits>

#include "base/error.h"
#include "base/half.h"
#include "base/text.h"
#include "reference/call.h"

namespace ferry::reference {
namespace {

// Notes that node `index` needs everything that it or its subgraphs read.
void note_uses(const ir::Node& node, size_t index, std::unordered_map<const ir::Value*, size_t>& uses) {
  for (const ir::Value* input : node.inputs) uses[input] = index;
  for (const auto& [name, attribute] : node.attributes) {
    const auto* inner = std::get_if<ir::GraphPtr>(&attribute);
    if (inner == nullptr) continue;
    for (const auto& child : (*inner)->nodes()) note_uses(*child, index, uses);
    for (const ir::Value* output : (*inner)->outputs) uses[output] = index;
  }
}

// A dimension's size if the sizes of its symbols are known.
std::optional<int64_t> size_of(const ir::Dim& dim, const std::map<std::string, int64_t, std::less<>>& sizes) {
  if (dim.is_constant()) return dim.constant();
  try {
    return dim.evaluate(sizes);
  } catch (const Error&) {
    return std::nullopt;  // A symbol that only running the graph gives a size, such as NonZero's count.
  }
}

std::string full_name(const ir::Node& node) {
  return node.domain.empty() ? node.op_type : node.domain + "." + node.op_type;
}

}  // namespace

Execution::Execution(const ir::Graph& graph, const InterpreterOptions& options, const Execution* outer)
    : graph_(graph), options_(options), outer_(outer) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) note_uses(*graph.nodes()[i], i, last_use_);
  for (const ir::Value* output : graph.outputs) last_use_[output] = std::numeric_limits<size_t>::max();
}

std::vector<Tensor> Execution::run(std::vector<Tensor> inputs) {
  check_internal(inputs.size() == graph_.inputs.size(), "a graph was given another number of inputs");
  for (size_t i = 0; i < inputs.size(); ++i) values_[graph_.inputs[i]] = std::move(inputs[i]);
  if (outer_ == nullptr) bind_symbols();
  for (size_t i = 0; i < graph_.nodes().size(); ++i) run_node(i);
  std::vector<Tensor> out;
  for (const ir::Value* output : graph_.outputs) out.push_back(value(*output));
  return out;
}

std::vector<Tensor> Execution::run_inner(const ir::Graph& graph, std::vector<Tensor> inputs) const {
  return Execution(graph, options_, this).run(std::move(inputs));
}

Tensor Execution::value(const ir::Value& value) const {
  const auto found = values_.find(&value);
  if (found != values_.end()) return found->second;
  if (const Weight* stored = weight(value)) return Tensor::from_weight(*stored);
  check_internal(outer_ != nullptr, fmt::format("{} is used before it is computed", value.name));
  return outer_->value(value);
}

const Weight* Execution::weight(const ir::Value& value) const {
  if (value.is_weight()) return &*value.weight;
  const auto found = turned_.find(&value);
  if (found != turned_.end()) return &found->second;
  return outer_ != nullptr ? outer_->weight(value) : nullptr;
}

// A matrix of a whole vocabulary is not turned to be multiplied with: products read it either way.
bool Execution::turns_weight(const ir::Node& node) {
  const ir::Value* in = node.op_type == "Transpose" && node.domain.empty() ? node.input(0) : nullptr;
  const bool plain = in != nullptr && in->is_weight() && in->weight->dims().size() == 2 &&
                     in->weight->stored_bytes() && kind_of(in->weight->dtype()) == Kind::real;
  const bool shown = options_.observe || last_use_.count(node.outputs[0]) == 0 ||
                     last_use_[node.outputs[0]] == std::numeric_limits<size_t>::max();
  if (!plain || shown || node.get("perm", std::vector<int64_t>{1, 0}) != std::vector<int64_t>{1, 0})
    return false;
  turned_.emplace(node.outputs[0], in->weight->transpose());
  return true;
}

void Execution::bind_symbols() {
  for (const ir::Value* input : graph_.inputs) {
    for (size_t i = 0; input->shape && i < input->shape->size(); ++i) {
      if (const auto name = (*input->shape)[i].symbol_name()) symbols_.emplace(*name, values_[input].dim(i));
    }
  }
  for (const ir::Value* input : graph_.inputs) {
    for (size_t i = 0; input->shape && i < input->shape->size(); ++i) {
      const auto wanted = size_of((*input->shape)[i], symbols_);
      if (wanted && *wanted != values_[input].dim(i)) {
        throw Error(ErrorCode::shape_mismatch,
                    fmt::format("input {} is {}, which does not fit its declared {} (axis {} should be {})",
                                printable(input->name), to_string(values_[input].dims()),
                                ir::to_string(*input->shape), i, *wanted));
      }
    }
  }
}

void Execution::run_node(size_t index) {
  const ir::Node& node = *graph_.nodes()[index];
  if (turns_weight(node)) return;
  const Function function = find_function(node.domain, node.op_type);
  if (function == nullptr) {
    throw Error(ErrorCode::unsupported,
                fmt::format("the interpreter has no operator {}, which node {} asks for",
                            printable(full_name(node)), printable(node.name)));
  }
  Call call(node, *this);
  with_context(fmt::format("computing {} ({})", node.name, full_name(node)), [&] { function(call); });
  take_results(node, call.results());
  for (const ir::Value* input : node.inputs) {
    const auto use = last_use_.find(input);
    if (use != last_use_.end() && use->second == index) values_.erase(input);
  }
  for (const ir::Value* output : node.outputs) {
    if (last_use_.find(output) == last_use_.end()) values_.erase(output);
  }
}

void Execution::take_results(const ir::Node& node, std::vector<Tensor>& results) {
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ir::Value* output = node.outputs[i];
    if (output == nullptr) continue;
    check_internal(static_cast<bool>(results[i]),
                   fmt::format("{} ({}) did not compute result {}", node.name, node.op_type, i));
    check_dims(node, *output, results[i]);
    Tensor tensor = settled(*output, std::move(results[i]));
    if (outer_ == nullptr && options_.observe) options_.observe(*output, tensor.to_host(output->dtype));
    values_[output] = std::move(tensor);
  }
}

void Execution::check_dims(const ir::Node& node, const ir::Value& value, const Tensor& tensor) const {
  if (!options_.check_shapes || !graph_.strict || outer_ != nullptr || !value.shape) return;
  bool same = value.shape->size() == tensor.rank();
  for (size_t i = 0; same && i < tensor.rank(); ++i) {
    const auto size = size_of((*value.shape)[i], symbols_);
    same = !size || *size == tensor.dim(i);
  }
  if (!same) {
    throw Error(ErrorCode::internal,
                fmt::format("{} ({}): inference says {}, the result is {}", node.name, node.op_type,
                            ir::to_string(*value.shape), to_string(tensor.dims())));
  }
}

// Wraps integers to the declared width; rounds floats to a declared 16-bit type, if asked.
Tensor Execution::settled(const ir::Value& value, Tensor tensor) const {
  if (tensor.kind() == Kind::integer && is_integer(value.dtype) && bits_of(value.dtype) < 64) {
    Tensor out = Tensor::make<int64_t>(tensor.dims());
    const auto from = tensor.get<int64_t>();
    auto to = out.edit<int64_t>();
    for (size_t i = 0; i < from.size(); ++i) to[i] = wrapped(from[i], value.dtype);
    return out;
  }
  const bool is_short = value.dtype == DType::f16 || value.dtype == DType::bf16;
  if (!options_.round_to_declared || tensor.kind() != Kind::real || !is_short) return tensor;
  Tensor out = Tensor::make<float>(tensor.dims());
  const auto from = tensor.get<float>();
  auto to = out.edit<float>();
  for (size_t i = 0; i < from.size(); ++i) {
    to[i] = value.dtype == DType::f16 ? half_to_float(float_to_half(from[i]))
                                      : bfloat16_to_float(float_to_bfloat16(from[i]));
  }
  return out;
}

}  // namespace ferry::reference
