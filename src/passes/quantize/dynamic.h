#pragma once
// Dynamic quantization: weights as 8-bit integers, activations quantized while the model runs.
// Source: onnxruntime 1.32, quantization/onnx_quantizer.py with QuantizationMode.IntegerOps.
#include <functional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "passes/quantize/result.h"
#include "passes/quantize/selection.h"

namespace ferry::passes {

/// The operators that ONNX Runtime's quantizer takes by default in this mode.
std::vector<std::string> dynamic_operators();

struct DynamicQuantization {
  DType weights = DType::i8;  ///< i8 or u8.
  bool weights_symmetric = true;
  bool activations_symmetric =
      false;                 ///< Counts for the tables of Gather, which are quantized like activations.
  bool per_channel = false;  ///< One scale a column of a MatMul's weight.
  bool reduce_range = false;
  /// Whether a MatMul of two activations (attention's) stays as it is. ONNX Runtime's quantize_dynamic leaves
  /// them, Optimum does not.
  bool matmul_const_b_only = true;
  NodeSelection nodes;
};

/// MatMul becomes DynamicQuantizeLinear, MatMulInteger, Cast and Mul; Gemm (Linear and GPT-2's Conv1D)
/// likewise with an Add; Conv becomes ConvInteger; the table of a Gather becomes integers that are scaled
/// after it; com.microsoft Attention becomes QAttention. Branches of If and bodies of Loop, too. Names,
/// integers and scales are those of ONNX Runtime's quantizer. Weights stay lazy; their ranges are read.
/// Errors: Error{usage} for a quantized model or an unknown node; Error{unsupported} below opset 11;
/// Error{invalid_file} for a weight with NaN.
QuantizationResult quantize_dynamic(ir::Graph& graph, const DynamicQuantization& options);

}  // namespace ferry::passes
