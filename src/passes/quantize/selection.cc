#include "passes/quantize/selection.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace ferry::passes {
namespace {

void collect_names(const ir::Graph& graph, std::vector<std::string>& out) {
  for (const auto& node : graph.nodes()) {
    out.push_back(node->name);
    for (const auto& [name, attribute] : node->attributes) {
      if (const auto* inner = std::get_if<ir::GraphPtr>(&attribute)) collect_names(**inner, out);
    }
  }
}

void require_known(const std::vector<std::string>& asked, const std::vector<std::string>& known) {
  for (const auto& name : asked) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    Error error(ErrorCode::usage, fmt::format("the model has no node \"{}\"", printable(name)));
    const auto near = nearest(name, known);
    if (!near.empty()) error.with_hint("did you mean " + join(near) + "?");
    throw error;
  }
}

bool is_quantized(std::string_view op) {
  return op == "QuantizeLinear" || op == "DequantizeLinear" || op == "DynamicQuantizeLinear" ||
         op == "MatMulInteger" || op == "ConvInteger" || op == "MatMulNBits" || op == "QAttention" ||
         op == "DynamicQuantizeMatMul" || op == "QGemm" || op.substr(0, 7) == "QLinear";
}

}  // namespace

Selected::Selected(const NodeSelection& selection, const ir::Graph& graph)
    : operators_(selection.operators.begin(), selection.operators.end()),
      nodes_(selection.nodes.begin(), selection.nodes.end()),
      excluded_(selection.excluded.begin(), selection.excluded.end()) {
  if (selection.nodes.empty() && selection.excluded.empty()) return;
  std::vector<std::string> known;
  collect_names(graph, known);
  require_known(selection.nodes, known);
  require_known(selection.excluded, known);
}

void require_not_quantized(const ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (is_quantized(node->op_type)) {
      throw Error(ErrorCode::usage, fmt::format("the model is quantized already: node {} is a {}",
                                                printable(node->name), node->op_type))
          .with_hint("quantize the model that it was made from");
    }
    for (const auto& [name, attribute] : node->attributes) {
      if (const auto* inner = std::get_if<ir::GraphPtr>(&attribute)) require_not_quantized(**inner);
    }
  }
}

}  // namespace ferry::passes
