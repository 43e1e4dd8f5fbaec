#pragma once
// The passes between a definition's graph and the file, in order.
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "ir/graph.h"
#include "passes/fold.h"
#include "passes/fp16.h"
#include "passes/fuse.h"

namespace ferry::passes {

struct PipelineOptions {
  int opset = 18;
  bool constant_folding = true;
  bool in_place = false;            ///< Expose weights that lie in checkpoint files as they are.
  Evaluator evaluate = nullptr;     ///< Of constants; nothing: those that move weights alone.
  bool gelu_approximation = false;  ///< Gelu by the error function becomes the one by tanh.
  std::function<void(ir::Graph&)> quantize_weights = nullptr;  ///< Before the rest goes to half precision.
  std::optional<Fp16Options> fp16 = {};                        ///< From f32 to half precision.
  std::optional<FuseOptions> fuse = {};                        ///< To ONNX Runtime's own operators.
  std::set<std::string, std::less<>> skip = {};                ///< Passes to leave out, by name.
  /// Called after each pass with its name.
  std::function<void(std::string_view, const ir::Graph&)> after = nullptr;
};

/// Runs the passes and checks the graph after each. Errors: those of the passes; Error{internal} for a broken
/// graph.
void run_pipeline(ir::Graph& graph, const PipelineOptions& options);

}  // namespace ferry::passes
