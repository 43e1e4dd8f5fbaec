#pragma once
// Errors inside two graphs: tensors that both have under the same name.
#include <vector>

#include "ferry/compare.h"
#include "ir/graph.h"
#include "ort/session.h"
#include "runtime/samples.h"

namespace ferry::runtime {

/// A model as it lies on disk, with `outputs` added to what its graph gives. Nothing is written: the file's
/// bytes are opened with a few more behind them, its external data from its own folder.
ort::Session session_with_outputs(const ort::Runtime& runtime, const std::filesystem::path& model,
                                  const std::vector<std::string>& outputs,
                                  const ort::SessionOptions& options);

/// Of the results of computing nodes (not of those that move elements alone), by the order of `a`. The
/// samples fit both models.
std::vector<LayerComparison> compare_layers(const ort::Runtime& runtime, const std::filesystem::path& file_a,
                                            const ir::Graph& a, const std::filesystem::path& file_b,
                                            const ir::Graph& b, const std::vector<Sample>& samples,
                                            const ort::SessionOptions& options, const Log& log);

}  // namespace ferry::runtime
