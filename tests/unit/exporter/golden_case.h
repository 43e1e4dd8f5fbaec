#pragma once
// One folder of tests/data/golden: a tiny checkpoint with the inputs and outputs that transformers computed
// for it.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "exporter/build_model.h"
#include "tensor/host_tensor.h"

namespace ferry::testing {

using TensorMap = std::map<std::string, HostTensor>;

struct GoldenRun {
  TensorMap inputs, outputs;
};

struct GoldenCase {
  std::filesystem::path folder;
  std::string name, model_type, task, library;
  double atol = 1e-5;
  DType dtype = DType::f32;       ///< Of the arithmetic.
  std::filesystem::path weights;  ///< The file, or the folder if the case has weights of its own.
  std::map<std::string, std::vector<GoldenRun>, std::less<>> runs;  ///< By file: "model.onnx".

  static GoldenCase load(const std::filesystem::path& folder);
  /// The graphs of the case, freshly built; or the one graph that takes the place of several.
  [[nodiscard]] std::vector<exporter::BuiltPart> build(bool monolith = false) const;
};

/// The folders, sorted by name.
std::vector<std::string> golden_case_names();
std::filesystem::path golden_folder();

/// "" if every element of `actual` is within atol + 1e-5 |expected| of `expected`; else what differs.
std::string mismatch(const HostTensor& expected, const HostTensor& actual, double atol);

}  // namespace ferry::testing
