#pragma once
// The pass that a QuantizationConfig asks for.
#include "ferry/quantization.h"
#include "ir/graph.h"
#include "passes/quantize/result.h"

namespace ferry::exporter {

/// `graph` as read_to_quantize() gives it; `ranges` count for static quantization. Errors: those of the
/// passes.
passes::QuantizationResult quantize_graph(ir::Graph& graph, const QuantizationConfig& config,
                                          const TensorRanges& ranges);

/// What static quantization of a model needs, by running it on the samples. Errors: those of
/// ORTQuantizer::fit.
TensorRanges calibrated_ranges(const std::filesystem::path& model, const QuantizationConfig& config,
                               const Calibration& calibration, const std::filesystem::path& working_folder,
                               const Log* log);

}  // namespace ferry::exporter
