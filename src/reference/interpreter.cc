#include "reference/interpreter.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/text.h"
#include "reference/call.h"
#include "reference/execution.h"

namespace ferry::reference {
namespace {

void check_input(const ir::Value& declared, const HostTensor& given) {
  const bool same = declared.dtype == DType::undefined || given.dtype == declared.dtype ||
                    (is_floating(declared.dtype) && given.dtype == DType::f32);
  const auto describe = [&] {
    return fmt::format("input {} is {}, declared {}{}", printable(declared.name), given.describe(),
                       to_string(declared.dtype), declared.shape ? ir::to_string(*declared.shape) : "?");
  };
  if (!same) throw Error(ErrorCode::dtype_mismatch, describe());
  if (declared.shape && declared.shape->size() != given.dims.size())
    throw Error(ErrorCode::shape_mismatch, describe());
}

}  // namespace

Interpreter::Interpreter(const ir::Graph& graph, InterpreterOptions options)
    : graph_(graph), options_(std::move(options)) {}

std::map<std::string, HostTensor> Interpreter::run(const std::map<std::string, HostTensor>& inputs) const {
  std::vector<std::string> names;
  for (const ir::Value* input : graph_.inputs) names.push_back(input->name);
  for (const auto& [name, tensor] : inputs) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw Error(ErrorCode::not_found, fmt::format("the graph has no input {}", printable(name)))
          .with_hint("it has " + join(names));
    }
  }
  std::vector<Tensor> tensors;
  for (const ir::Value* input : graph_.inputs) {
    const auto given = inputs.find(input->name);
    if (given == inputs.end())
      throw Error(ErrorCode::not_found,
                  fmt::format("the graph's input {} was not given", printable(input->name)));
    check_input(*input, given->second);
    tensors.push_back(Tensor::from_host(given->second));
  }
  const auto results = Execution(graph_, options_).run(std::move(tensors));
  std::map<std::string, HostTensor> out;
  for (size_t i = 0; i < results.size(); ++i)
    out.emplace(graph_.outputs[i]->name, results[i].to_host(graph_.outputs[i]->dtype));
  return out;
}

bool is_implemented(std::string_view domain, std::string_view op_type) {
  return find_function(domain, op_type) != nullptr;
}

}  // namespace ferry::reference
