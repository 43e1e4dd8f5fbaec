#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "passes/fold.h"
#include "passes/fp16.h"
#include "passes/fuse.h"
#include "passes/raise.h"

namespace ferry::passes {

struct OptimizeOptions {
  bool transformers = true;  ///< Raise to high-level operators and fuse those.
  RaiseOptions raise;
  std::optional<FuseOptions> fuse = {};  ///< To ONNX Runtime's own operators, after raising.
  bool gelu_approximation = false;       ///< Gelu by the error function becomes the one by tanh.
  bool fp16 = false;
  Fp16Options fp16_options;
  int oldest_opset = 18;         ///< The result is of this opset, or of the graph's own if that is newer.
  Evaluator evaluate = nullptr;  ///< For constants.
};

struct OptimizeReport {
  std::map<std::string, size_t> found;  ///< What was raised: {"LayerNormalization", 13}.
  std::map<std::string, size_t> fused;  ///< To operators of com.microsoft: {"SkipLayerNormalization", 12}.
  Fp16Report fp16;
};

/// Optimizes a graph that was read from a file. Without `transformers`: constants folded, redundant nodes
/// taken out, equal ones merged, in subgraphs, too.
/// Keeps: inputs, outputs and their names, numbers up to what the options change.
/// Errors: those of upgrade() and legalize().
OptimizeReport optimize(ir::Graph& graph, const OptimizeOptions& options);

/// Every Gelu by the error function becomes the one by tanh: up to 4.7e-4 apart.
void approximate_gelu(ir::Graph& graph);

}  // namespace ferry::passes
