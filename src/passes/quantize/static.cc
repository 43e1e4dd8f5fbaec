#include "passes/quantize/static.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "passes/quantize/static_model.h"

namespace ferry::passes {
namespace {

void require_no_subgraphs(const ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    for (const auto& [name, attribute] : node->attributes) {
      if (!std::holds_alternative<ir::GraphPtr>(attribute)) continue;
      throw Error(ErrorCode::unsupported,
                  fmt::format("static quantization is not there for models with subgraphs: node {} is a {}",
                              printable(node->name), printable(node->op_type)))
          .with_hint("quantize dynamically, or the models that a merged decoder was made from");
    }
  }
}

void require_opset(const ir::Graph& graph, int least, const char* what) {
  const auto opset = graph.opsets.find("");
  if (opset == graph.opsets.end() || opset->second >= least) return;
  throw Error(ErrorCode::unsupported,
              fmt::format("{} needs opset {} or later, the model has {}", what, least, opset->second));
}

void check(const ir::Graph& graph) {
  require_not_quantized(graph);
  require_no_subgraphs(graph);
  require_opset(graph, 10, "static quantization");
}

}  // namespace

std::vector<std::string> static_operators(StaticFormat format) {
  if (format == StaticFormat::qdq) {
    return {"Conv",
            "ConvTranspose",
            "Gemm",
            "Clip",
            "Relu",
            "Reshape",
            "Transpose",
            "Squeeze",
            "Unsqueeze",
            "Flatten",
            "Resize",
            "MaxPool",
            "AveragePool",
            "Slice",
            "Pad",
            "MatMul",
            "Split",
            "Gather",
            "GatherElements",
            "Where",
            "InstanceNormalization",
            "LayerNormalization",
            "BatchNormalization",
            "TopK",
            "CumSum"};
  }
  return {"ArgMax",    "Conv",
          "Gemm",      "MatMul",
          "Add",       "Mul",
          "Relu",      "Clip",
          "LeakyRelu", "Sigmoid",
          "MaxPool",   "GlobalAveragePool",
          "Split",     "Pad",
          "Reshape",   "Squeeze",
          "Unsqueeze", "Flatten",
          "Resize",    "AveragePool",
          "Concat",    "Softmax",
          "Where",     "Gather",
          "Transpose", "EmbedLayerNormalization"};
}

std::vector<const ir::Value*> tensors_to_calibrate(const ir::Graph& graph,
                                                   const std::vector<std::string>& operators) {
  check(graph);
  const std::set<std::string, std::less<>> wanted(operators.begin(), operators.end());
  std::vector<const ir::Value*> out;
  std::unordered_set<const ir::Value*> seen;
  const auto take = [&](const ir::Value* value) {
    const bool is_activation = value != nullptr && !value->is_weight() && value->dtype == DType::f32;
    if (is_activation && seen.insert(value).second) out.push_back(value);
  };
  for (const auto& node : graph.nodes()) {
    if (!wanted.empty() && wanted.count(node->op_type) == 0) continue;
    for (const ir::Value* input : node->inputs) take(input);
    for (const ir::Value* output : node->outputs) take(output);
  }
  return out;
}

QuantizationResult quantize_static(ir::Graph& graph, const TensorRanges& ranges,
                                   const StaticQuantization& options) {
  check(graph);
  if (options.per_channel && options.format == StaticFormat::qdq)
    require_opset(graph, 13, "DequantizeLinear with one scale a channel");
  const StaticModel model(graph, ranges, options);
  QuantizationResult result =
      options.format == StaticFormat::qdq ? write_qdq(graph, model) : write_qoperator(graph, model);
  graph.remove_dead_nodes();
  return result;
}

}  // namespace ferry::passes
