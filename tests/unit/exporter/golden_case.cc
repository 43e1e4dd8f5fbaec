#include "golden_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "models/registry.h"

namespace ferry::testing {
namespace fs = std::filesystem;

fs::path golden_folder() {
  return fs::path(FERRY_TEST_DATA) / "golden";
}

std::vector<std::string> golden_case_names() {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(golden_folder())) {
    if (ferry::is_regular_file(entry.path() / "case.json")) out.push_back(entry.path().filename().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

namespace {
// Keys: "<run>/inputs/<name>", "<run>/outputs/<name>".
std::vector<GoldenRun> load_runs(const fs::path& file) {
  std::vector<GoldenRun> runs;
  for (const auto& [key, weight] : open_checkpoint(file).state.tensors) {
    const auto parts = split(key, '/');
    const auto run = static_cast<size_t>(std::stoul(parts.at(0)));
    if (runs.size() <= run) runs.resize(run + 1);
    auto& side = parts.at(1) == "inputs" ? runs[run].inputs : runs[run].outputs;
    side.emplace(parts.at(2), HostTensor::from_weight(weight));
  }
  return runs;
}
}  // namespace

GoldenCase GoldenCase::load(const fs::path& folder) {
  GoldenCase out;
  out.folder = folder;
  out.name = folder.filename().string();
  const auto meta = read_json(folder / "case.json");
  out.model_type = meta.at("model_type");
  out.task = meta.at("task");
  out.library = meta.value("library", "transformers");
  out.atol = meta.value("atol", 1e-5);
  if (meta.value("dtype", "fp32") == "fp16") out.dtype = DType::f16;
  out.weights = meta.contains("weights") ? folder / meta.at("weights").get<std::string>() : folder;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    if (!starts_with(file, "io") || entry.path().extension() != ".safetensors") continue;
    // io.safetensors, io-encoder_model.safetensors
    const std::string stem = entry.path().stem().string();
    out.runs[(stem == "io" ? "model" : stem.substr(3)) + ".onnx"] = load_runs(entry.path());
  }
  return out;
}

std::vector<exporter::BuiltPart> GoldenCase::build(bool monolith) const {
  MainExportOptions options;
  options.model = folder.string();
  options.library = library;
  const Log silent;
  const auto source = exporter::open_source(options, silent);
  const auto checkpoint = open_checkpoint(weights);
  static const auto registry = models::Registry::builtin();
  exporter::BuildOptions building;
  building.dtype = dtype;
  building.monolith = monolith;
  return exporter::build_model(source, registry.get(model_type), task, checkpoint, building, silent);
}

std::string mismatch(const HostTensor& expected, const HostTensor& actual, double atol) {
  if (expected.dims != actual.dims)
    return fmt::format("shape {} instead of {}", to_string(actual.dims), to_string(expected.dims));
  const HostTensor wanted = expected.to_f32(), found = actual.to_f32();
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < wanted.count(); ++i) {
    const double apart = std::abs(static_cast<double>(wanted.as<float>()[i]) - found.as<float>()[i]) -
                         1e-5 * std::abs(wanted.as<float>()[i]);
    if (!(apart <= worst)) {
      worst = apart;
      at = i;
    }
  }
  if (worst <= atol) return "";
  return fmt::format("element {} is {} instead of {}", at, found.as<float>()[at], wanted.as<float>()[at]);
}

}  // namespace ferry::testing
