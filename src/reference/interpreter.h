#pragma once
// The reference: computes a graph as its operators are defined, slowly enough to be read and checked.
//
// It proves exports, so it shares nothing with the passes that lower, fuse or quantize a graph: a slip in
// either shows as a difference.
#include <functional>
#include <map>
#include <string>

#include "ir/graph.h"
#include "tensor/host_tensor.h"

namespace ferry::reference {

struct InterpreterOptions {
  /// Values declared f16 or bf16 are rounded to it after each operator, as a runtime that holds them so
  /// would. Off, everything is computed and held as f32, which is what an export is compared with.
  bool round_to_declared = false;
  /// Compares the dims of every value with those that inference gave, for graphs that are strict.
  bool check_shapes = true;
  /// Sees every result of every node of the outermost graph, in order. For finding where two runs part.
  std::function<void(const ir::Value&, const HostTensor&)> observe;
};

/// Runs a graph of ONNX's operators (opset 24) and those of com.microsoft that ferry emits.
///
/// Numbers   Floating tensors of every dtype are held as f32 (f64 too) and products are summed in f32;
///           sums, means, variances and softmax denominators are taken in f64. Integers are exact: i64
///           arithmetic wrapped to the declared width. Weights of 16 and 8 bits are read as the numbers they
///           stand for.
/// Softmax   of a row that is all -inf is NaN, as IEEE arithmetic has it. Attention gives 0 for a query that
///           may attend to nothing (a boolean mask all false, or a bias all -inf), which is ONNX's rule since
///           1.20 and PyTorch's; its softcap comes before the mask. A finite minimum in an additive mask
///           gives the uniform row that PyTorch gives.
/// Random    operators are refused: there is no reference for them.
/// Memory    values are dropped after their last use; weights are read where they lie, those that are not f32
///           or not row-major a piece at a time in products and look-ups, else for one node at a time.
/// Threads   run() is const and may be called from several threads; it uses every processor itself.
/// Lifetime  the graph must outlive the interpreter.
class Interpreter {
 public:
  explicit Interpreter(const ir::Graph& graph, InterpreterOptions options = {});

  /// Inputs   by name, every input of the graph; dtypes as declared (a floating one may be given as f32)
  /// Outputs  by name: floating ones as f32, integers and booleans as declared
  /// Errors   Error{not_found} for an input that is missing or that the graph does not have,
  ///          Error{dtype_mismatch}, Error{shape_mismatch} for one that is not as declared or a node whose
  ///          inputs do not fit, Error{unsupported} that names an operator without an implementation and its
  ///          node, Error{internal} if a value's dims are not what inference said
  [[nodiscard]] std::map<std::string, HostTensor> run(const std::map<std::string, HostTensor>& inputs) const;

 private:
  const ir::Graph& graph_;
  InterpreterOptions options_;
};

/// Whether the interpreter has an implementation of an operator.
bool is_implemented(std::string_view domain, std::string_view op_type);

}  // namespace ferry::reference
