#pragma once
// Quantizing an export on its way to the file, and what that costs in accuracy.
#include "exporter/validate.h"
#include "ferry/export.h"

namespace ferry::exporter {

/// Errors: Error{usage} for combinations that cannot be, by the flag that stands in the way.
void check_quantization(const MainExportOptions& options);

/// Whether activations stay as they are: int4, int8-weights.
bool is_weights_alone(const ExportQuantization& how);

/// Takes over the integers of a checkpoint that is quantized, and quantizes weights if `how` says so: before
/// the rest goes to half precision if it does (`half`). Logs how much. Returns whether ONNX Runtime will
/// round what it multiplies. Errors: those of the passes.
bool quantize_weights(ir::Graph& graph, const ExportQuantization& how, bool half, const std::string& file,
                      const Log& log);

/// Quantizes weights and activations if `how` says so: a graph that is ready to be written. Logs how much.
/// Errors: those of the passes.
void quantize_dynamic(ir::Graph& graph, const ExportQuantization& how, const std::string& file,
                      const Log& log);

/// The least cosine between an output of a quantized model and the reference's.
inline constexpr double kLeastCosine = 0.9;

/// As compare(), for integers: reports the error of each output, which is close if its cosine with the
/// reference's is at least kLeastCosine.
std::vector<OutputValidation> compare_quantized(const std::vector<ReferenceRun>& reference,
                                                const ort::Session& session,
                                                const std::vector<std::string>& output_names,
                                                const std::string& shown, const Log& log);

}  // namespace ferry::exporter
