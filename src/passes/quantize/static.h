#pragma once
// Static quantization: activations have scales that were found beforehand, from their ranges on data.
// Source: onnxruntime 1.32, quantization/qdq_quantizer.py and onnx_quantizer.py with
// QuantizationMode.QLinearOps.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"
#include "passes/quantize/result.h"
#include "passes/quantize/selection.h"

namespace ferry::passes {

/// The least and the largest number of each tensor, by its name.
using TensorRanges = std::map<std::string, std::pair<float, float>>;

enum class StaticFormat : uint8_t {
  qdq,       ///< Operators stay; QuantizeLinear and DequantizeLinear stand around them.
  qoperator  ///< Operators on integers: QLinearConv, QLinearMatMul, ...
};

/// The operators that ONNX Runtime's quantizer takes by default in this format.
std::vector<std::string> static_operators(StaticFormat format);

struct StaticQuantization {
  StaticFormat format = StaticFormat::qdq;
  DType activations = DType::u8;  ///< i8 or u8.
  bool activations_symmetric = false;
  DType weights = DType::i8;  ///< i8 or u8.
  bool weights_symmetric = true;
  bool per_channel = false;   ///< One scale an output channel of a weight.
  bool reduce_range = false;  ///< Weights of 7 bits.
  // Of the format qdq:
  bool add_pair_to_weight = false;  ///< Weights stay floats, with QuantizeLinear and DequantizeLinear.
  bool dedicated_pair = false;      ///< Each user of a tensor has a pair of its own.
  std::map<std::string, int64_t> per_channel_axis = {{"MatMul", 1}};  ///< By op_type.
  NodeSelection nodes;
};

/// The f32 tensors whose ranges quantize_static() asks for: inputs and results of nodes of these operators
/// (empty: of all), in order. Weights have their ranges in them.
/// Errors: as quantize_static(), but for the ranges.
std::vector<const ir::Value*> tensors_to_calibrate(const ir::Graph& graph,
                                                   const std::vector<std::string>& operators);

/// Nodes, names, integers, scales and zero points are those of ONNX Runtime's quantizer. Where its graph
/// would compute something else than the model, this one does not: a Relu goes only if the integers before
/// it hold no negative number, Gemm's beta is multiplied into its bias, a bias of several users is quantized
/// for each. A tensor that holds infinity, or a number that stands for it (a mask's f32 minimum), stays in
/// floating point. Weights stay lazy; their ranges are read.
/// Errors: Error{usage} for a quantized model, an unknown node, a tensor without range; Error{unsupported}
/// for an opset that is too early (10, with scales per channel 13) and for subgraphs; Error{invalid_file}
/// for a weight with NaN.
QuantizationResult quantize_static(ir::Graph& graph, const TensorRanges& ranges,
                                   const StaticQuantization& options);

}  // namespace ferry::passes
