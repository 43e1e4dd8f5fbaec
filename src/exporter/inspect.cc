#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "exporter/build_model.h"
#include "ferry/export.h"
#include "nn/task.h"
#include "onnx/reader.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;

InputOutput describe(const ir::Value& value) {
  InputOutput out{value.name, std::string(to_string(value.dtype)), {}};
  if (value.shape) {
    for (const ir::Dim& dim : *value.shape) out.axes.push_back(dim.str());
  }
  return out;
}

InspectedFile describe(const std::string& file, const ir::Graph& graph) {
  InspectedFile out{file, {}, {}};
  for (const auto* input : graph.inputs) out.inputs.push_back(describe(*input));
  for (const auto* output : graph.outputs) out.outputs.push_back(describe(*output));
  return out;
}

void count_weight(ModelInfo& info, const Weight& weight) {
  info.parameters += weight.count();
  info.parameters_by_dtype[std::string(to_string(weight.dtype()))] += weight.count();
}

void inspect_onnx(const fs::path& file, ModelInfo& info) {
  const ir::Graph graph = onnx::read_model(file);
  info.files.push_back(describe(file.filename().string(), graph));
  for (const auto* value : graph.used_weights()) count_weight(info, *value->weight);
  info.weight_files.push_back(file);
}

void inspect_checkpoint(const MainExportOptions& options, const Log& log, ModelInfo& info) {
  const auto source = exporter::open_source(options, log);
  const auto registry = models::Registry::builtin();
  const auto& architecture = registry.get(source.model_type);
  info.model_type = source.model_type;
  info.library = source.library;
  info.tasks = source.library == "sentence_transformers" ? std::vector<std::string>{"feature-extraction"}
                                                         : architecture.task_names();
  std::sort(info.tasks.begin(), info.tasks.end());
  info.task = exporter::select_task(options, source, architecture, log);
  CheckpointOptions wanted;
  wanted.framework = options.framework;
  wanted.variant = options.variant;
  wanted.adapter = options.adapter;
  const auto checkpoint = open_checkpoint(source.folder, wanted);
  info.format = checkpoint.format;
  for (const auto& file : checkpoint.files) info.weight_files.push_back(file.path);
  std::set<std::string> counted;  // A tensor saved under two names is one.
  for (const auto& [name, weight] : checkpoint.state.tensors) {
    if (counted.insert(weight.key()).second) count_weight(info, weight);
  }
  auto parts = exporter::build_model(source, architecture, info.task, checkpoint, {}, log);
  for (auto& part : parts) {
    exporter::name_axes(part);
    info.files.push_back(describe(part.file, part.graph));
  }
  if (architecture.find_task(info.task)->merges_decoders) {
    const auto merged = exporter::merge_last_two(parts);
    info.files.push_back(describe(merged.file, merged.graph));
  }
}

}  // namespace

ModelInfo inspect_model(const MainExportOptions& options) {
  const Log silent;
  const Log& log = options.log != nullptr ? *options.log : silent;
  ModelInfo info;
  const fs::path path(options.model);
  std::vector<fs::path> files;
  if (path.extension() == ".onnx" && ferry::is_regular_file(path)) {
    files = {path};
  } else {
    files = files_with_extension(path, ".onnx");
  }
  if (files.empty()) {
    inspect_checkpoint(options, log, info);
    return info;
  }
  info.format = "onnx";
  for (const auto& file : files) inspect_onnx(file, info);
  return info;
}

std::string supported_models_table() {
  const auto registry = models::Registry::builtin();
  std::string out = "| model type | task | transformers class | files |\n| --- | --- | --- | --- |\n";
  for (const auto& type : registry.model_types()) {
    for (const auto& entry : registry.get(type).tasks) {
      std::vector<std::string> files;
      for (const auto& part : entry.parts) files.push_back(part.file);
      if (entry.merges_decoders) files.emplace_back(nn::kMergedDecoder);
      out += fmt::format("| {} | {} | {} | {} |\n", type, entry.task, entry.hf_class, join(files));
    }
  }
  return out;
}

}  // namespace ferry
