#include "runtime/search/trial.h"

#include "base/file.h"
#include "exporter/calibrator.h"
#include "exporter/model_files.h"
#include "onnx/writer.h"

namespace ferry::runtime {
namespace {
namespace fs = std::filesystem;

// Beyond, what was changed might not fit one file.
constexpr uint64_t kMostInPlace = uint64_t{4} << 30;
// ONNX Runtime wants shapes and other small numbers in the model itself.
constexpr uint64_t kSmall = 1024;

// The files that weights lie in, by their names in the model's folder.
std::map<fs::path, std::string> files_beside(const fs::path& model, const ir::Graph& graph) {
  std::map<fs::path, std::string> out;
  for (const ir::Value* value : graph.used_weights()) {
    const auto range = value->weight->file_range();
    if (range && range->file.parent_path() == model.parent_path())
      out[range->file] = range->file.filename().string();
  }
  return out;
}

void embed_small_weights(const ir::Graph& graph) {
  for (ir::Value* value : graph.used_weights()) {
    const Weight& weight = *value->weight;
    if (weight.size_bytes() < kSmall)
      value->weight = Weight::inline_bytes(weight.dtype(), weight.dims(), weight.bytes());
  }
}

}  // namespace

Trials::Trials(const ort::Runtime& runtime, fs::path model, fs::path folder, ort::SessionOptions options,
               TensorRanges ranges)
    : runtime_(runtime),
      model_(std::move(model)),
      folder_(std::move(folder)),
      options_(std::move(options)),
      ranges_(std::move(ranges)) {}

Trial Trials::make(const QuantizationConfig& config) const {
  ir::Graph graph = exporter::read_to_quantize(model_, Log());
  const bool in_place = exporter::stored_bytes(model_, graph) <= kMostInPlace;
  auto result = exporter::quantize_graph(graph, config, ranges_);
  onnx::WriteOptions writing;
  writing.sync = false;
  const onnx::WritePaths paths{folder_ / "trial.onnx", folder_ / "trial.onnx_data"};
  writing.external_name = paths.external.filename().string();
  ort::SessionOptions options = options_;
  if (in_place) {
    embed_small_weights(graph);
    writing.weights = onnx::WriteOptions::Weights::in_place;
    writing.locations = files_beside(model_, graph);
    options.config["session.model_external_initializers_file_folder_path"] =
        fs::absolute(model_).parent_path().string();
  }
  const auto written = onnx::write_model(graph, paths, writing);
  std::optional<ort::Session> session;
  if (in_place) {
    const auto file = MappedFile::open(paths.model);
    session.emplace(runtime_, file->bytes(), options);
  } else {
    session.emplace(runtime_, paths.model, options);
  }
  for (const auto& file : written.files) fs::remove(file);
  return {std::move(result), std::move(*session)};
}

}  // namespace ferry::runtime
