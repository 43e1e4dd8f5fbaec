#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_files.h"
#include "base/text.h"
#include "exporter/calibrator.h"
#include "exporter/model_files.h"
#include "exporter/ort_config.h"
#include "exporter/quantization_config.h"
#include "exporter/quantize_graph.h"
#include "exporter/side_files.h"
#include "exporter/weight_quantization.h"
#include "onnx/reader.h"
#include "onnx/writer.h"
#include "passes/fold.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;

const Log& log_of(const Log* log) {
  static const Log silent;
  return log != nullptr ? *log : silent;
}

using Pass = std::function<passes::QuantizationResult(ir::Graph&)>;
using Read = std::function<ir::Graph(const fs::path& model, const Log& log)>;

struct Run {
  const ORTQuantizer::SaveOptions& options;
  const Log& log;
  StagingFolder& staging;

  [[nodiscard]] QuantizedFile quantize(const fs::path& model, const Read& read, const Pass& pass) const {
    ir::Graph graph = read(model, log);
    QuantizedFile out;
    out.bytes_before = exporter::stored_bytes(model, graph);
    const std::string suffix = options.file_suffix.empty() ? "" : "_" + options.file_suffix;
    out.file = model.stem().string() + suffix + ".onnx";
    log.info("Quantizing model...");
    take(pass(graph), out);
    write(graph, out);
    if (options.check) options.check(staging.path() / out.file);
    return out;
  }

 private:
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

// Every model by the pass that pass_of(model) gives, and what else the folder gets.
QuantizationReport run_on_files(const std::vector<fs::path>& models, const fs::path& save_dir,
                                const ORTQuantizer::SaveOptions& options, const Read& read,
                                const std::function<Pass(const fs::path& model)>& pass_of,
                                const std::function<void(StagingFolder&)>& add_files) {
  const auto start = std::chrono::steady_clock::now();
  StagingFolder staging(save_dir);
  QuantizationReport report;
  std::vector<std::string> names;
  for (const auto& model : models) {
    with_context(printable(model.filename().string()), [&] {
      report.files.push_back(
          Run{options, log_of(options.log), staging}.quantize(model, read, pass_of(model)));
    });
    names.push_back(report.files.back().file);
  }
  add_files(staging);
  exporter::copy_side_files(models[0].parent_path(), staging);
  staging.commit(names);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

using RangesOf = std::function<TensorRanges(const fs::path& model, const fs::path& working_folder)>;

QuantizationReport quantize_files(const std::vector<fs::path>& models, const QuantizationConfig& config,
                                  const fs::path& save_dir, const ORTQuantizer::SaveOptions& options,
                                  const RangesOf& ranges_of) {
  config.check();
  log_of(options.log)
      .info(fmt::format("Creating {} quantizer: {}", config.is_static ? "static" : "dynamic", config.str()));
  const auto pass_of = [&](const fs::path& model) -> Pass {
    if (!config.is_static)
      return [&](ir::Graph& graph) { return exporter::quantize_graph(graph, config, {}); };
    return [&, ranges = ranges_of(model, save_dir)](ir::Graph& graph) {
      return exporter::quantize_graph(graph, config, ranges);
    };
  };
  return run_on_files(models, save_dir, options, exporter::read_to_quantize, pass_of,
                      [&](StagingFolder& staging) {
                        exporter::OrtConfig saved;
                        saved.use_external_data_format = options.use_external_data_format;
                        saved.quantization = exporter::to_json(config);
                        staging.write("ort_config.json", exporter::to_text(saved));
                      });
}

QuantizationReport quantize_files(const std::vector<fs::path>& models, const WeightQuantization& config,
                                  const fs::path& save_dir, const ORTQuantizer::SaveOptions& options) {
  const auto pass_options = exporter::nbits_options(config);
  log_of(options.log).info("Creating weight-only quantizer: " + exporter::describe(config));
  const Read read = [&](const fs::path& model, const Log& log) {
    return exporter::read_to_quantize_weights(model, config, log);
  };
  const Pass pass = [&](ir::Graph& graph) { return passes::quantize_matmul_nbits(graph, pass_options); };
  return run_on_files(
      models, save_dir, options, read, [&](const fs::path&) { return pass; }, [](StagingFolder&) {});
}

void require_other_folder(const fs::path& folder, const fs::path& save_dir) {
  std::error_code ignored;
  if (folder != save_dir && !fs::equivalent(folder, save_dir, ignored)) return;
  throw Error(ErrorCode::usage,
              "The output directory must be different than the directory hosting the ONNX model.");
}

[[noreturn]] void no_ranges() {
  throw Error(ErrorCode::usage,
              "Requested static quantization in the QuantizationConfig, but no calibration ranges were "
              "provided. Please run calibration first using the quantizer fit method, or use dynamic "
              "quantization.");
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
  return quantize_files({model_}, config, save_dir, options, [&](const fs::path&, const fs::path&) {
    if (options.calibration_tensors_range.empty()) no_ranges();
    return options.calibration_tensors_range;
  });
}

QuantizationReport ORTQuantizer::quantize(const WeightQuantization& config, const fs::path& save_dir,
                                          const SaveOptions& options) const {
  return quantize_files({model_}, config, save_dir, options);
}

void ORTQuantizer::partial_fit(const std::vector<CalibrationSample>& dataset, const CalibrationConfig& config,
                               const FitOptions& options) {
  if (calibrator_ == nullptr) calibrator_ = std::make_shared<exporter::Calibrator>(model_, config, options);
  log_of(options.log).info("Collecting tensors statistics...");
  calibrator_->collect(dataset);
}

TensorRanges ORTQuantizer::compute_ranges() const {
  if (calibrator_ == nullptr) {
    throw Error(
        ErrorCode::usage,
        "Calibrator is None, please call `partial_fit` or `fit` method at least ones to compute ranges.");
  }
  return calibrator_->ranges();
}

TensorRanges ORTQuantizer::fit(const std::vector<CalibrationSample>& dataset, const CalibrationConfig& config,
                               const FitOptions& options) {
  log_of(options.log)
      .info(fmt::format("Using static quantization schema (dataset: {}, method: {})",
                        printable(config.dataset_name), config.str()));
  calibrator_.reset();
  partial_fit(dataset, config, options);
  log_of(options.log).info("Computing calibration ranges");
  TensorRanges out = compute_ranges();
  calibrator_.reset();
  return out;
}

QuantizationReport quantize_folder(const fs::path& folder, const QuantizationConfig& config,
                                   const fs::path& save_dir, const ORTQuantizer::SaveOptions& options,
                                   const Calibration* calibration) {
  require_other_folder(folder, save_dir);
  const auto ranges_of = [&](const fs::path& model, const fs::path& working_folder) {
    if (calibration == nullptr) no_ranges();
    return exporter::calibrated_ranges(model, config, *calibration, working_folder, options.log);
  };
  return quantize_files(exporter::model_files(folder), config, save_dir, options, ranges_of);
}

QuantizationReport quantize_folder(const fs::path& folder, const WeightQuantization& config,
                                   const fs::path& save_dir, const ORTQuantizer::SaveOptions& options) {
  require_other_folder(folder, save_dir);
  return quantize_files(exporter::model_files(folder), config, save_dir, options);
}

}  // namespace ferry
