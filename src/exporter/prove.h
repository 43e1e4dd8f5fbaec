#pragma once
// The written file in ONNX Runtime against what the reference computed.
#include <filesystem>
#include <string>
#include <vector>

#include "exporter/validate.h"

namespace ferry::exporter {

struct WrittenModel {
  std::filesystem::path file;
  std::string shown;  ///< Its name in messages.
  /// Of weights in place that do not lie beside the file yet; empty: they lie beside it.
  std::filesystem::path weights_folder;
  bool quantized = false;  ///< Multiplies integers, as a user's session does it: weights are arranged first.
  bool by_cosine = false;  ///< Judged by the cosine with the reference (kLeastCosine), not by `tolerance`.
  Tolerance tolerance;
  std::filesystem::path onnxruntime;  ///< The library; empty: searched.
};

/// Runs the model of `graph` on the reference's inputs. Errors: Error{validation_failed} naming the outputs
/// that are too far from it, or the weights that are no numbers.
std::vector<OutputValidation> prove(const WrittenModel& model, const ir::Graph& graph,
                                    const std::vector<ReferenceRun>& reference, const Log& log);

}  // namespace ferry::exporter
