#pragma once
// Ranges of a model's tensors on data: the model runs in ONNX Runtime with those tensors as results.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/temporary_files.h"
#include "ferry/quantization.h"
#include "ir/graph.h"
#include "ort/session.h"
#include "passes/quantize/calibration.h"

namespace ferry::exporter {

/// The model as it is quantized: read, with what passes change of it beforehand.
ir::Graph read_to_quantize(const std::filesystem::path& model, const Log& log);

class Calibrator {
 public:
  /// Errors: those of reading and writing models, and Error{usage}, Error{unsupported} for one that cannot be
  /// quantized statically.
  Calibrator(const std::filesystem::path& model, const CalibrationConfig& config,
             const ORTQuantizer::FitOptions& options);

  /// Runs the samples. Errors: those of ORTQuantizer::fit(), with the number of the sample.
  void collect(const std::vector<CalibrationSample>& samples);
  [[nodiscard]] TensorRanges ranges() const;

 private:
  struct Tensor {
    std::string name;
    bool is_input = false;  ///< Of the model: its numbers are the sample's.
    passes::RangeCollector collector;
  };
  using Take = void (passes::RangeCollector::*)(std::span<const float>);
  void write_with_results(ir::Graph& graph, const Log& log);
  void run(const CalibrationSample& sample, Take take);
  void run_all(const std::vector<CalibrationSample>& samples, Take take, const char* what);

  const Log* log_;
  StagingFolder folder_;
  std::vector<Tensor> tensors_;
  std::vector<std::string> results_;  // Names of those that are no inputs, in order.
  std::unique_ptr<ort::Session> session_;
};

}  // namespace ferry::exporter
