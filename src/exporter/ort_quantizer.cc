#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_files.h"
#include "base/text.h"
#include "exporter/model_files.h"
#include "exporter/ort_config.h"
#include "exporter/quantization_config.h"
#include "exporter/side_files.h"
#include "onnx/reader.h"
#include "onnx/writer.h"
#include "passes/fold.h"
#include "passes/quantize/dynamic.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;

passes::DynamicQuantization dynamic_options(const QuantizationConfig& config) {
  passes::DynamicQuantization out;
  out.weights = config.weights_dtype == QuantType::QInt8 ? DType::i8 : DType::u8;
  out.weights_symmetric = config.weights_symmetric;
  out.activations_symmetric = config.activations_symmetric;
  out.per_channel = config.per_channel;
  out.reduce_range = config.reduce_range;
  out.matmul_const_b_only = config.matmul_const_b_only;
  out.nodes = {exporter::operators_of(config), config.nodes_to_quantize, config.nodes_to_exclude};
  return out;
}

struct Run {
  const QuantizationConfig& config;
  const ORTQuantizer::SaveOptions& options;
  const Log& log;
  StagingFolder& staging;

  [[nodiscard]] QuantizedFile quantize(const fs::path& model) const {
    return with_context(printable(model.filename().string()), [&] { return quantize_file(model); });
  }

 private:
  [[nodiscard]] QuantizedFile quantize_file(const fs::path& model) const {
    onnx::ReadOptions reading;
    reading.log = &log;
    ir::Graph graph = onnx::read_model(model, reading);
    QuantizedFile out;
    out.bytes_before = exporter::stored_bytes(model, graph);
    const std::string suffix = options.file_suffix.empty() ? "" : "_" + options.file_suffix;
    out.file = model.stem().string() + suffix + ".onnx";
    log.info("Quantizing model...");
    passes::untie_products(graph);
    take(passes::quantize_dynamic(graph, dynamic_options(config)), out);
    write(graph, out);
    return out;
  }

  static void take(passes::QuantizationResult result, QuantizedFile& out) {
    for (auto& node : result.quantized)
      out.quantized.push_back({std::move(node.name), std::move(node.op_type), ""});
    for (auto& node : result.kept)
      out.kept.push_back({std::move(node.name), std::move(node.op_type), std::move(node.why)});
    if (!out.quantized.empty()) return;
    Error error(ErrorCode::usage, "the model has nothing that these options quantize");
    if (!out.kept.empty())
      error.with_hint(fmt::format("node {}: {}", printable(out.kept[0].name), out.kept[0].why));
    throw error;
  }

  void write(const ir::Graph& graph, QuantizedFile& out) const {
    onnx::WriteOptions writing;
    writing.producer_version = FERRY_VERSION;
    writing.external_name = out.file + "_data";
    if (options.use_external_data_format) writing.weights = onnx::WriteOptions::Weights::external;
    writing.log = &log;
    writing.sync = false;  // The staging folder syncs what it commits.
    log.info(fmt::format("Saving quantized model at: {} (external data format: {})",
                         printable(staging.output().string(), 1000),
                         options.use_external_data_format ? "True" : "False"));
    const auto written =
        onnx::write_model(graph, {staging.file(out.file), staging.file(writing.external_name)}, writing);
    out.bytes_after = written.model_bytes + written.external_bytes;
  }
};

QuantizationReport quantize_files(const std::vector<fs::path>& models, const QuantizationConfig& config,
                                  const fs::path& save_dir, const ORTQuantizer::SaveOptions& options) {
  static const Log silent;
  const Log& log = options.log != nullptr ? *options.log : silent;
  const auto start = std::chrono::steady_clock::now();
  config.check();
  if (config.is_static) {
    throw Error(ErrorCode::usage, "static quantization, which needs calibration, is not built yet")
        .with_hint("dynamic quantization needs none: is_static = false");
  }
  StagingFolder staging(save_dir);
  QuantizationReport report;
  std::vector<std::string> names;
  log.info(fmt::format("Creating {} quantizer: {}", config.is_static ? "static" : "dynamic", config.str()));
  for (const auto& model : models) {
    report.files.push_back(Run{config, options, log, staging}.quantize(model));
    names.push_back(report.files.back().file);
  }
  exporter::OrtConfig saved;
  saved.use_external_data_format = options.use_external_data_format;
  saved.quantization = exporter::to_json(config);
  staging.write("ort_config.json", exporter::to_text(saved));
  exporter::copy_side_files(models[0].parent_path(), staging);
  staging.commit(names);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace

ORTQuantizer ORTQuantizer::from_pretrained(const fs::path& folder, const std::string& file_name) {
  if (!file_name.empty()) {
    check_relative_name(file_name, "file_name");
    if (!ferry::is_regular_file(folder / file_name)) {
      throw Error(ErrorCode::not_found,
                  fmt::format("there is no {} in {}", printable(file_name), printable(folder.string())));
    }
    return ORTQuantizer(folder / file_name);
  }
  const auto files = exporter::model_files(folder);
  if (files.size() > 1) {
    throw Error(ErrorCode::usage,
                fmt::format("Found too many ONNX model files in {}.", printable(folder.string())))
        .with_hint("choose one with file_name, or quantize_folder() for all");
  }
  return ORTQuantizer(files[0]);
}

QuantizationReport ORTQuantizer::quantize(const QuantizationConfig& config, const fs::path& save_dir,
                                          const SaveOptions& options) const {
  return quantize_files({model_}, config, save_dir, options);
}

QuantizationReport quantize_folder(const fs::path& folder, const QuantizationConfig& config,
                                   const fs::path& save_dir, const ORTQuantizer::SaveOptions& options) {
  std::error_code ignored;
  if (folder == save_dir || fs::equivalent(folder, save_dir, ignored)) {
    throw Error(ErrorCode::usage,
                "The output directory must be different than the directory hosting the ONNX model.");
  }
  return quantize_files(exporter::model_files(folder), config, save_dir, options);
}

}  // namespace ferry
