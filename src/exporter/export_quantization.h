#pragma once
// Quantizing an export on its way to the file, and what that costs in accuracy.
#include "exporter/validate.h"
#include "ferry/export.h"

namespace ferry::exporter {

/// Errors: Error{usage} for combinations that cannot be, by the flag that stands in the way.
void check_quantization(const MainExportOptions& options);

/// Quantizes a graph: before it goes to half precision if it does (`half`; weights alone), else when it is
/// ready to be written. Logs how much. Errors: those of the passes.
void quantize(ir::Graph& graph, const ExportQuantization& how, bool half, const std::string& file,
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
