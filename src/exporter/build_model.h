#pragma once
// From a checkpoint to graphs.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "exporter/model_source.h"

namespace ferry::exporter {

struct BuiltPart {
  std::string file;  ///< "model.onnx"
  ir::Graph graph;   ///< In the newest opset, verified.
  std::vector<nn::InputSpec> inputs;
  nn::OutputAxes output_axes = {};
};

struct BuildOptions {
  DType dtype = DType::f32;
  bool dynamic_axes = true;
  ShapeOptions shapes;
  bool monolith = false;  ///< One file instead of several, where the task has that.
};

/// The two graphs of a task that merges decoders, as one: consumes the last two parts. They are as they will
/// be written.
BuiltPart merge_last_two(std::vector<BuiltPart>& parts);

/// Builds every file of a task but the merged one. Logs configuration keys and tensors that nothing used.
/// Errors: those of the definition: Error{invalid_config}, Error{missing_tensor}, Error{unused_tensor},
/// Error{shape_mismatch}, ...
std::vector<BuiltPart> build_model(const ModelSource& source, const nn::Architecture& architecture,
                                   const std::string& task, const Checkpoint& checkpoint,
                                   const BuildOptions& options, const Log& log);

/// Gives axes the names that the file shows: those of one possible size, for which the graph was built, and
/// Optimum's for outputs. Last of all: the graph's own shapes no longer agree then.
void name_axes(BuiltPart& part);

}  // namespace ferry::exporter
