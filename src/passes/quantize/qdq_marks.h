#pragma once
// Which tensors get QuantizeLinear and DequantizeLinear.
#include <optional>
#include <unordered_map>
#include <vector>

#include "passes/quantize/static_model.h"

namespace ferry::passes {

struct QdqMarks {
  struct Tensor {
    bool is_weight = false;           ///< In the format of weights; else in that of activations.
    std::optional<size_t> axis;       ///< One scale each.
    const ir::Value* like = nullptr;  ///< Takes this tensor's scale and zero point.
  };
  /// A constant that is quantized in steps of the input's times the weight's scale.
  struct Bias {
    ir::Value* value = nullptr;
    const ir::Value *input = nullptr, *weight = nullptr;
  };

  std::unordered_map<const ir::Value*, Tensor> tensors;
  std::vector<ir::Value*> weights;  ///< Those of `tensors` that are constants, in order.
  std::vector<Bias> biases;
  /// Nodes chosen for quantization that use a tensor, each once.
  std::unordered_map<const ir::Value*, std::vector<const ir::Node*>> users;
  QuantizationResult result;
};

/// Goes through the nodes that were chosen. Changes of the graph: a Relu or Clip whose work the integers do
/// is dropped, a bias of several nodes gets a copy for each, Gemm's beta is multiplied into its bias.
QdqMarks mark_tensors(ir::Graph& graph, const StaticModel& model);

}  // namespace ferry::passes
