#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_files.h"
#include "base/text.h"
#include "exporter/build_model.h"
#include "exporter/export_quantization.h"
#include "exporter/optimization_config.h"
#include "exporter/optimize_graph.h"
#include "exporter/ort_config.h"
#include "exporter/pad_token.h"
#include "exporter/side_files.h"
#include "exporter/validate.h"
#include "ferry/export.h"
#include "nn/task.h"
#include "onnx/shared_weights.h"
#include "onnx/writer.h"
#include "passes/pipeline.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using exporter::BuiltPart;
using exporter::ModelSource;

constexpr int kDefaultOpset = 18;
constexpr int kOldestOpset = 13;
constexpr const char* kSharedWeights = "model.onnx_data";

DType parse_dtype(const std::string& name) {
  if (name == "fp32") return DType::f32;
  if (name == "fp16") return DType::f16;
  if (name == "bf16") return DType::bf16;
  throw Error(ErrorCode::usage, fmt::format("--dtype {} is not one of fp32, fp16, bf16", printable(name)));
}

int checked_opset(std::optional<int> asked, const Log& log) {
  const int opset = asked.value_or(kDefaultOpset);
  if (opset < kOldestOpset || opset > ir::kNewestOpset) {
    throw Error(ErrorCode::usage,
                fmt::format("--opset {} is out of range: {} to {}", opset, kOldestOpset, ir::kNewestOpset));
  }
  if (opset < kDefaultOpset)
    log.warning(fmt::format("Opset {} is lower than the recommended minmum opset ({}) to export", opset,
                            kDefaultOpset));
  return opset;
}

void check_shapes(const ShapeOptions& shapes) {
  for (const int64_t size :
       {shapes.batch_size, shapes.sequence_length, shapes.num_choices, shapes.width, shapes.height,
        shapes.num_channels, shapes.feature_size, shapes.nb_max_frames, shapes.audio_sequence_length,
        shapes.point_batch_size, shapes.nb_points_per_image, shapes.visual_seq_length}) {
    if (size < 1 || size > (1 << 24))
      throw Error(ErrorCode::usage, fmt::format("a shape of {} is out of range: 1 to {}", size, 1 << 24));
  }
}

OptimizationConfig checked_optimization(const MainExportOptions& options) {
  const auto config = AutoOptimizationConfig::with_optimization_level(options.optimize);
  const bool half = config.fp16 && options.dtype != "fp32";
  if (half || (config.fp16 && options.weights == MainExportOptions::Weights::in_place)) {
    throw Error(ErrorCode::usage,
                half ? "--optimize O4 makes half precision of fp32: --dtype does the same already"
                     : "--optimize O4 changes every weight, which --weights in-place leaves alone");
  }
  return config;
}

// What an export may replace: the files of an earlier one, nothing else unless told to.
void check_output(const MainExportOptions& options, const std::vector<std::string>& names) {
  if (options.output.empty()) throw Error(ErrorCode::usage, "no output folder is given");
  if (options.overwrite || !files_with_extension(options.output, ".onnx").empty()) return;
  for (const auto& name : names) {
    std::error_code ignored;
    if (!fs::exists(fs::symlink_status(options.output / name, ignored))) continue;
    throw Error(ErrorCode::io, fmt::format("{} holds {} and no ONNX model: it is not an earlier export",
                                           printable(options.output.string()), name))
        .with_hint("choose another folder, or pass --overwrite to replace its files");
  }
}

bool same_folder(const fs::path& a, const fs::path& b) {
  std::error_code ignored;
  return fs::equivalent(a, b, ignored);
}

struct Exporter {
  const MainExportOptions& options;
  const Log& log;
  const models::Registry& registry;
  DType dtype = DType::f32;
  std::optional<OptimizationConfig> optimization;
  ModelSource source;
  Checkpoint checkpoint;
  ExportReport report;

  Exporter(const MainExportOptions& given, const Log& sink, const models::Registry& known)
      : options(given), log(sink), registry(known) {}

  ExportReport run() {
    const auto start = std::chrono::steady_clock::now();
    check_shapes(options.shapes);
    exporter::check_quantization(options);
    dtype = parse_dtype(options.dtype);
    report.opset = checked_opset(options.opset, log);
    if (!options.optimize.empty()) optimization = checked_optimization(options);
    source = exporter::open_source(options, log);
    const nn::Architecture& architecture = registry.get(source.model_type);
    report.model_type = source.model_type;
    report.library = source.library;
    report.task = exporter::select_task(options, source, architecture, log);
    exporter::complete_pad_token(source, report.task, options.pad_token_id, log);
    open_weights();
    auto parts = exporter::build_model(source, architecture, report.task, checkpoint,
                                       {dtype, options.dynamic_axes, options.shapes, options.monolith}, log);
    const bool merges = options.post_process && architecture.find_task(report.task)->merges_decoders;
    export_parts(parts, merges);
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    log.info(fmt::format("The ONNX export succeeded and the exported model was saved at: {}",
                         printable(options.output.string(), 1000)));
    return std::move(report);
  }

 private:
  // Where the files of an export are made.
  struct Place {
    StagingFolder& staging;
    std::map<fs::path, std::string> locations;  // Of weights in place.
    std::optional<onnx::SharedWeights> shared;
  };

  void open_weights() {
    CheckpointOptions wanted;
    wanted.framework = options.framework;
    wanted.variant = options.variant == "default" ? "" : options.variant;
    wanted.adapter = options.adapter;
    checkpoint = open_checkpoint(source.folder, wanted);
    for (const auto& warning : checkpoint.warnings) log.warning(warning);
  }

  void export_parts(std::vector<BuiltPart>& parts, bool merges) {
    const bool into_source =
        same_folder(options.output, source.folder) || same_folder(options.output, source.root);
    std::vector<std::string> models;
    for (const auto& part : parts) models.push_back(part.file);
    if (merges) models.emplace_back(nn::kMergedDecoder);
    std::vector<std::string> names = models;
    for (const auto& model : models) names.push_back(model + "_data");
    if (shares_weights()) names.emplace_back(kSharedWeights);
    if (!into_source) {
      for (const auto& name : exporter::side_file_names(source)) names.push_back(name);
    }
    if (optimization) names.emplace_back("ort_config.json");
    check_output(options, names);
    StagingFolder staging(options.output);
    if (optimization) write_ort_config(staging);
    Place place{staging, stage_in_place_weights(staging), std::nullopt};
    if (shares_weights()) place.shared.emplace(staging.file(kSharedWeights), kSharedWeights);
    std::vector<std::vector<exporter::ReferenceRun>> references;
    for (auto& part : parts) references.push_back(export_part(part, place));
    if (merges) export_merged(parts, std::move(references), place);
    if (place.shared) place.shared->finish(false);
    if (!into_source) report.copied = exporter::stage_side_files(source, stored_dtype(), staging, log);
    staging.commit(models);
  }

  void write_ort_config(StagingFolder& staging) const {
    exporter::OrtConfig config;
    config.optimization = exporter::to_json(*optimization);
    staging.write("ort_config.json", exporter::to_text(config));
  }

  void set_optimization(passes::PipelineOptions& pipeline) const {
    if (!optimization) return;
    auto wanted = exporter::optimize_options(*optimization, {});
    pipeline.evaluate = std::move(wanted.evaluate);
    pipeline.gelu_approximation = wanted.gelu_approximation;
    pipeline.fuse = wanted.transformers ? wanted.fuse : std::nullopt;
    if (pipeline.fuse) {
      pipeline.fuse->max_positions = max_positions();
      pipeline.fuse->packed_qkv = pipeline.fuse->packed_qkv && !in_place();
    }
    if (wanted.fp16) pipeline.fp16 = std::move(wanted.fp16_options);
  }

  // ONNX Runtime's GroupQueryAttention takes several new tokens on a past in batches of one row alone.
  [[nodiscard]] ShapeOptions example_shapes() const {
    ShapeOptions shapes = options.shapes;
    if (optimization && optimization->optimization_level > 1 && options.dynamic_axes &&
        ends_with(report.task, kWithPast))
      shapes.batch_size = 1;
    return shapes;
  }

  // The longest text that the configuration knows, 0 if it names none: of the fused form's tables of angles.
  [[nodiscard]] int64_t max_positions() const {
    constexpr int64_t kLongest = 1 << 20;
    const auto found = source.config->find("max_position_embeddings");
    if (found == source.config->end() || !found->is_number_integer()) return 0;
    return std::clamp<int64_t>(found->get<int64_t>(), 0, kLongest);
  }

  // Of the weights, as config.json has it.
  [[nodiscard]] DType stored_dtype() const { return optimization && optimization->fp16 ? DType::f16 : dtype; }

  [[nodiscard]] exporter::Tolerance tolerance() const {
    const bool approximate = optimization && (optimization->fp16 || optimization->enable_gelu_approximation);
    return exporter::tolerance_for(approximate ? DType::f16 : dtype, options.atol);
  }

  // The checkpoint's own files, under the names by which graphs in the output folder will refer to them.
  std::map<fs::path, std::string> stage_in_place_weights(StagingFolder& staging) {
    std::map<fs::path, std::string> locations;
    if (options.weights != MainExportOptions::Weights::in_place) return locations;
    for (const auto& file : checkpoint.files) {
      if (!ends_with(file.format, "safetensors")) {
        throw Error(ErrorCode::unsupported,
                    fmt::format("--weights in-place needs a safetensors checkpoint, {} is {}",
                                printable(file.path.string()), file.format));
      }
      const std::string name = file.path.filename().string();
      if (!same_folder(file.path.parent_path(), options.output)) staging.copy(file.path, name);
      locations.emplace(file.path, name);
    }
    return locations;
  }

  // ONNX Runtime's CPU provider multiplies no bfloat16 matrices: such a file can be written, not run here.
  [[nodiscard]] bool validates() const { return options.validate && dtype != DType::bf16; }
  [[nodiscard]] bool shares_weights() const { return options.weights == MainExportOptions::Weights::shared; }
  [[nodiscard]] bool in_place() const { return options.weights == MainExportOptions::Weights::in_place; }

  // Returns what the reference computed.
  std::vector<exporter::ReferenceRun> export_part(BuiltPart& part, Place& place) {
    passes::PipelineOptions pipeline;
    pipeline.opset = report.opset;
    pipeline.constant_folding = options.constant_folding;
    pipeline.in_place = in_place();
    set_optimization(pipeline);
    std::vector<exporter::ReferenceRun> reference;
    if (pipeline.fp16) passes::clamp_numbers(part.graph);
    if (validates())
      reference = exporter::run_reference(part.graph, part.inputs, example_shapes(), options.dynamic_axes);
    passes::run_pipeline(part.graph, pipeline);
    exporter::quantize(part.graph, options.quantization, part.file, log);
    if (options.dynamic_axes) exporter::name_axes(part);
    write(part, reference, place);
    return reference;
  }

  void export_merged(std::vector<BuiltPart>& parts,
                     std::vector<std::vector<exporter::ReferenceRun>> references, Place& place) {
    const auto decoder_inputs = parts[parts.size() - 2].inputs;
    const auto with_past_inputs = parts.back().inputs;
    const BuiltPart merged = exporter::merge_last_two(parts);
    auto& with_past = references.back();
    auto& decoder = references[references.size() - 2];
    write(merged,
          exporter::merged_runs(std::move(decoder), std::move(with_past), decoder_inputs, with_past_inputs,
                                merged.graph),
          place);
  }

  // Writes a part whose graph is as the file is to have it, and compares what it computes.
  void write(const BuiltPart& part, const std::vector<exporter::ReferenceRun>& reference, Place& place) {
    onnx::WriteOptions writing;
    writing.producer_version = FERRY_VERSION;
    writing.external_name = part.file + "_data";
    writing.locations = place.locations;
    if (in_place()) writing.weights = onnx::WriteOptions::Weights::in_place;
    if (place.shared) {
      writing.weights = onnx::WriteOptions::Weights::shared;
      writing.shared = &*place.shared;
    }
    writing.log = &log;
    writing.sync = false;  // The staging folder syncs what it commits.
    const fs::path model = place.staging.file(part.file);
    const auto written =
        onnx::write_model(part.graph, {model, place.staging.file(writing.external_name)}, writing);
    FileReport file{part.file,     written.model_bytes,  written.external_bytes,
                    written.nodes, written.initializers, {}};
    if (validates()) {
      validate(part, model, reference, file);
    } else if (options.validate) {
      log.warning(
          "bfloat16 models are written but not validated: ONNX Runtime's CPU provider has no bfloat16 "
          "MatMul");
    }
    report.files.push_back(std::move(file));
  }

  void validate(const BuiltPart& part, const fs::path& model,
                const std::vector<exporter::ReferenceRun>& reference, FileReport& file) {
    exporter::refuse_weights_that_are_no_numbers(reference, part.graph,
                                                 (options.output / part.file).string());
    const exporter::Tolerance tolerance = this->tolerance();
    report.atol = tolerance.absolute;
    ort::RuntimeOptions runtime_options;
    runtime_options.library = options.onnxruntime;
    runtime_options.log = log;
    const auto runtime = ort::Runtime::open(runtime_options);
    ort::SessionOptions session_options;
    session_options.graph_optimization = ort::GraphOptimization::none;
    session_options.severity = LogLevel::error;
    // Two short runs: arranging the weights for fast ones would take longer than it saves. Integers are
    // multiplied as a user's session does it, which arranged weights decide.
    if (options.quantization.method.empty()) session_options.config["session.disable_prepacking"] = "1";
    session_options.memory_pattern = false;
    const auto session = [&] {
      // Weights in the checkpoint's folder are looked for beside the final file, not the temporary one.
      const bool beside_output = in_place() && !ferry::is_regular_file(staging_weights(model));
      if (!beside_output) return ort::Session(runtime, model, session_options);
      session_options.config["session.model_external_initializers_file_folder_path"] =
          fs::absolute(options.output).string();
      const auto mapped = MappedFile::open(model);
      return ort::Session(runtime, mapped->bytes(), session_options);
    }();
    std::vector<std::string> names;
    for (const auto* output : part.graph.outputs) names.push_back(output->name);
    const std::string shown = (options.output / part.file).string();
    const bool quantized = !options.quantization.method.empty() && !options.atol;
    file.validation = quantized ? exporter::compare_quantized(reference, session, names, shown, log)
                                : exporter::compare(reference, session, names, tolerance, shown, log);
    std::vector<std::string> wrong;
    for (const auto& output : file.validation) {
      if (!output.within_tolerance)
        wrong.push_back(fmt::format("{}: max diff = {}", output.name, output.max_difference));
    }
    if (wrong.empty()) return;
    if (quantized) {
      throw Error(ErrorCode::validation_failed,
                  fmt::format("the quantized model is too far from the reference (cosine below {}): {}",
                              exporter::kLeastCosine, join(wrong)))
          .with_hint("nothing was written; try smaller blocks, --head-bits 8 or 0, or int8");
    }
    throw Error(ErrorCode::validation_failed,
                fmt::format("The maximum absolute difference between the output of the reference model and "
                            "the ONNX exported model is not within the set "
                            "tolerance {}: {}",
                            tolerance.absolute, join(wrong)))
        .with_hint("nothing was written; --atol sets another tolerance");
  }

  [[nodiscard]] fs::path staging_weights(const fs::path& model) const {
    return checkpoint.files.empty() ? fs::path()
                                    : model.parent_path() / checkpoint.files.front().path.filename();
  }
};

}  // namespace

ExportReport main_export(const MainExportOptions& options) {
  return main_export(options, models::Registry::builtin());
}

ExportReport main_export(const MainExportOptions& options, const models::Registry& registry) {
  const Log silent;
  return Exporter(options, options.log != nullptr ? *options.log : silent, registry).run();
}

}  // namespace ferry
