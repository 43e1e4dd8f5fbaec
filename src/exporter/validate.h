#pragma once
// Proof: the reference interpreter on the un-lowered graph against ONNX Runtime on the written file.
#include <filesystem>
#include <string>
#include <vector>

#include "exporter/example_inputs.h"
#include "ferry/export.h"
#include "ir/graph.h"
#include "ort/session.h"

namespace ferry::exporter {

/// Inputs of one shape and what the reference computes for them.
struct ReferenceRun {
  TensorMap inputs;
  TensorMap outputs;
  AxisSizes sizes = {};
};

/// Runs the reference on example inputs: of several shapes if the axes are dynamic, else of one.
std::vector<ReferenceRun> run_reference(const ir::Graph& graph, const std::vector<nn::InputSpec>& inputs,
                                        const ShapeOptions& shapes, bool dynamic_axes);

/// The runs of a decoder without and one with a cache as runs of the graph that merges them.
std::vector<ReferenceRun> merged_runs(std::vector<ReferenceRun> decoder, std::vector<ReferenceRun> with_past,
                                      const std::vector<nn::InputSpec>& decoder_inputs,
                                      const std::vector<nn::InputSpec>& with_past_inputs,
                                      const ir::Graph& merged);

/// Where the reference's results are no numbers because weights are none: says which. A comparison of NaN
/// with NaN would prove nothing. Errors: Error{validation_failed}.
void refuse_weights_that_are_no_numbers(const std::vector<ReferenceRun>& reference, const ir::Graph& graph,
                                        const std::string& shown);

struct Tolerance {
  double absolute = 1e-4;
  double relative = 1e-5;  ///< As numpy.allclose.
};
/// The tolerance for a dtype of the export; `atol` replaces the absolute part.
Tolerance tolerance_for(DType dtype, std::optional<double> atol);

/// Runs `session` on the same inputs and compares names, shapes and values. Logs Optimum's lines.
/// `shown` is the file's name in them.
std::vector<OutputValidation> compare(const std::vector<ReferenceRun>& reference, const ort::Session& session,
                                      const std::vector<std::string>& output_names,
                                      const Tolerance& tolerance, const std::string& shown, const Log& log);

}  // namespace ferry::exporter
