#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_files.h"
#include "base/text.h"
#include "exporter/build_model.h"
#include "exporter/decoder_cache.h"
#include "exporter/evaluate.h"
#include "exporter/export_checks.h"
#include "exporter/export_quantization.h"
#include "exporter/genai_config.h"
#include "exporter/optimization_config.h"
#include "exporter/optimize_graph.h"
#include "exporter/ort_config.h"
#include "exporter/pad_token.h"
#include "exporter/prove.h"
#include "exporter/side_files.h"
#include "exporter/variants.h"
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
using exporter::ReferenceRun;
using exporter::Variant;

constexpr uint64_t kMostEmbedded = 100'000'000;  // Bytes of weights in the model's own file.
constexpr const char* kSharedWeights = "model.onnx_data";

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
  std::vector<Variant> variants;
  ModelSource source;
  const nn::Architecture* architecture = nullptr;
  Checkpoint checkpoint;
  ExportReport report;
  std::string genai_config;  // The file's text.

  Exporter(const MainExportOptions& given, const Log& sink, const models::Registry& known)
      : options(given), log(sink), registry(known) {}

  ExportReport run() {
    const auto start = std::chrono::steady_clock::now();
    exporter::check_shapes(options.shapes);
    exporter::check_quantization(options);
    dtype = exporter::parse_dtype(options.dtype);
    report.opset = exporter::checked_opset(options.opset, log);
    if (!options.optimize.empty()) optimization = exporter::checked_optimization(options);
    variants = exporter::variants_of(options, optimization && optimization->fp16);
    if (options.output.empty()) throw Error(ErrorCode::usage, "no output folder is given");
    source = exporter::open_source(options, log);
    architecture = &registry.get(source.model_type);
    report.model_type = source.model_type;
    report.library = source.library;
    report.task = exporter::select_task(options, source, *architecture, log);
    exporter::check_genai_config(options, report.task);
    exporter::complete_pad_token(source, report.task, options.pad_token_id, log);
    open_weights();
    export_variants();
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    log.info(fmt::format("The ONNX export succeeded and the exported model was saved at: {}",
                         printable(options.output.string(), 1000)));
    return std::move(report);
  }

 private:
  // Where the files of an export are made.
  struct Place {
    StagingFolder& staging;                     // Of the models.
    std::map<fs::path, std::string> locations;  // Of weights in place.
    std::optional<onnx::SharedWeights> shared;
    std::vector<std::string> models = {};  // That were made.
  };
  // What the reference computes of each part. Half precision has a reference of its own: clamp_numbers().
  using References = std::map<bool, std::vector<std::vector<ReferenceRun>>>;

  void open_weights() {
    CheckpointOptions wanted;
    wanted.framework = options.framework;
    wanted.variant = options.variant == "default" ? "" : options.variant;
    wanted.adapter = options.adapter;
    checkpoint = open_checkpoint(source.folder, wanted);
    for (const auto& warning : checkpoint.warnings) log.warning(warning);
  }

  // One graph for both decoders takes texts and caches of any size: with fixed sizes they stay apart.
  [[nodiscard]] bool merges() const {
    return options.post_process && options.dynamic_axes &&
           architecture->find_task(report.task)->merges_decoders;
  }

  // Logs what nothing used of the checkpoint, for the first of several variants.
  [[nodiscard]] std::vector<BuiltPart> build(const Log& sink) const {
    return exporter::build_model(source, *architecture, report.task, checkpoint,
                                 {dtype, options.dynamic_axes, options.shapes, options.monolith}, sink);
  }

  [[nodiscard]] std::vector<std::string> model_names(const std::vector<BuiltPart>& parts) const {
    std::vector<std::string> out;
    for (const Variant& variant : variants) {
      for (const auto& part : parts) out.push_back(variant.file(part.file));
      if (merges()) out.push_back(variant.file(nn::kMergedDecoder));
    }
    return out;
  }

  // Before anything is made.
  void check_outputs(const std::vector<BuiltPart>& parts, bool into_source) const {
    std::vector<std::string> models = model_names(parts), beside;
    for (const auto& model : model_names(parts)) models.push_back(model + "_data");
    if (shares_weights()) models.emplace_back(kSharedWeights);
    if (!into_source) beside = exporter::side_file_names(source);
    if (optimization) beside.emplace_back("ort_config.json");
    if (options.genai_config) beside.emplace_back(exporter::kGenaiConfig);
    const fs::path folder = exporter::models_folder(options);
    exporter::check_output(options, folder, models);
    // Files beside the models belong to an earlier export if models do.
    if (files_with_extension(folder, ".onnx").empty())
      exporter::check_output(options, options.output, beside);
  }

  void export_variants() {
    const bool into_source =
        same_folder(options.output, source.folder) || same_folder(options.output, source.root);
    std::vector<BuiltPart> parts = build(log);
    check_outputs(parts, into_source);
    StagingFolder staging(options.output);
    std::optional<StagingFolder> subfolder;
    if (!options.dtypes.empty()) subfolder.emplace(exporter::models_folder(options));
    Place place{subfolder ? *subfolder : staging, stage_in_place_weights(staging), std::nullopt};
    if (shares_weights()) place.shared.emplace(staging.file(kSharedWeights), kSharedWeights);
    References references;
    for (const Variant& variant : variants) {
      if (parts.empty()) parts = build(Log());
      export_variant(variant, std::exchange(parts, {}), references[variant.half], place);
    }
    if (place.shared) place.shared->finish(false);
    if (optimization) write_ort_config(staging);
    if (options.genai_config) staging.write(exporter::kGenaiConfig, genai_config);
    if (!into_source)
      report.copied = exporter::stage_side_files(source, stored_dtype(), external_files(), staging, log);
    if (subfolder) {
      staging.commit({});
      subfolder->commit(place.models);
    } else {
      staging.commit(place.models);
    }
  }

  // The models of transformers.js's folder whose weights lie in a file of their own.
  [[nodiscard]] std::vector<std::string> external_files() const {
    std::vector<std::string> out;
    for (const auto& file : report.files) {
      if (!options.dtypes.empty() && file.external_bytes > 0) out.push_back(file.file);
    }
    return out;
  }

  void write_ort_config(StagingFolder& staging) const {
    exporter::OrtConfig config;
    config.optimization = exporter::to_json(*optimization);
    staging.write("ort_config.json", exporter::to_text(config));
  }

  void set_optimization(passes::PipelineOptions& pipeline, bool half) const {
    if (half) pipeline.fp16 = exporter::optimize_options(AutoOptimizationConfig::O4(), {}).fp16_options;
    if (!optimization) return;
    auto wanted = exporter::optimize_options(*optimization, {});
    pipeline.evaluate = std::move(wanted.evaluate);
    pipeline.gelu_approximation = wanted.gelu_approximation;
    pipeline.fuse = wanted.transformers && !half ? wanted.fuse : std::nullopt;
    if (pipeline.fuse) {
      pipeline.fuse->max_positions = max_positions();
      pipeline.fuse->packed_qkv = pipeline.fuse->packed_qkv && !in_place();
    }
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

  [[nodiscard]] exporter::Tolerance tolerance(const Variant& variant) const {
    const bool approximate = variant.half || (optimization && optimization->enable_gelu_approximation);
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

  void export_variant(const Variant& variant, std::vector<BuiltPart> parts,
                      std::vector<std::vector<ReferenceRun>>& references, Place& place) {
    rounds_ = false;
    for (BuiltPart& part : parts) part.file = variant.file(part.file);
    // The reference has graphs of its own, as the definition builds them, and computes while files are made.
    const bool computes = validates() && references.empty();
    std::vector<BuiltPart> originals = computes ? build(Log()) : std::vector<BuiltPart>();
    for (auto* graphs : {&parts, &originals}) {
      for (BuiltPart& part : *graphs) {
        if (variant.half) passes::clamp_numbers(part.graph);
      }
    }
    references.resize(parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      std::future<std::vector<ReferenceRun>> computing;
      if (computes) {
        computing = std::async(std::launch::async, [&, part = &originals[i]] {
          return exporter::run_reference(part->graph, part->inputs, example_shapes(), options.dynamic_axes);
        });
      }
      optimize(parts[i], variant);
      FileReport file = write(parts[i], variant, place);
      if (computes) references[i] = computing.get();
      prove(parts[i], variant, references[i], place, std::move(file));
      const bool is_merged = merges() && i + 2 >= parts.size();
      if (is_last(variant) && !is_merged) references[i].clear();
    }
    if (merges()) export_merged(parts, variant, references, place);
  }

  // No variant after it needs what the reference computed: caches of examples are large.
  [[nodiscard]] bool is_last(const Variant& variant) const { return &variant == &variants.back(); }

  // Makes of a definition's graph the file's.
  void optimize(BuiltPart& part, const Variant& variant) {
    passes::PipelineOptions pipeline;
    pipeline.opset = report.opset;
    pipeline.constant_folding = options.constant_folding || options.slim;
    pipeline.in_place = in_place();
    set_optimization(pipeline, variant.half);
    if (options.slim) pipeline.evaluate = exporter::evaluate;
    pipeline.quantize_weights = [&](ir::Graph& graph) {
      rounds_ =
          exporter::quantize_weights(graph, variant.quantization, variant.half, part.file, log) || rounds_;
    };
    passes::run_pipeline(part.graph, pipeline);
    exporter::quantize_dynamic(part.graph, variant.quantization, part.file, log);
    exporter::note_cache(part.graph);
    if (options.genai_config) genai_config = exporter::genai_config(source, part.graph, part.file);
    if (options.dynamic_axes) exporter::name_axes(part);
  }

  void export_merged(std::vector<BuiltPart>& parts, const Variant& variant,
                     std::vector<std::vector<ReferenceRun>>& references, Place& place) {
    const auto take = [&](std::vector<ReferenceRun>& runs) {
      return is_last(variant) ? std::exchange(runs, {}) : runs;
    };
    auto with_past = take(references.back()), decoder = take(references[references.size() - 2]);
    const auto decoder_inputs = parts[parts.size() - 2].inputs;
    const auto with_past_inputs = parts.back().inputs;
    BuiltPart merged = exporter::merge_last_two(parts);
    merged.file = variant.file(merged.file);
    FileReport file = write(merged, variant, place);
    const auto runs = exporter::merged_runs(std::move(decoder), std::move(with_past), decoder_inputs,
                                            with_past_inputs, merged.graph);
    prove(merged, variant, runs, place, std::move(file));
  }

  // Writes a part whose graph is as the file is to have it.
  FileReport write(const BuiltPart& part, const Variant& variant, Place& place) const {
    onnx::WriteOptions writing;
    writing.producer_version = FERRY_VERSION;
    writing.external_name = part.file + "_data";
    writing.locations = place.locations;
    // ONNX Runtime maps a file of weights; those in the model's own it holds twice while it arranges them.
    if (options.dtypes.empty() && (options.genai_config || rounds_)) writing.embed_limit = kMostEmbedded;
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
    place.models.push_back(part.file);
    return {part.file,
            variant.dtype,
            written.model_bytes,
            written.external_bytes,
            written.nodes,
            written.initializers,
            {}};
  }

  // Compares what a written part computes.
  void prove(const BuiltPart& part, const Variant& variant, const std::vector<ReferenceRun>& reference,
             const Place& place, FileReport file) {
    if (validates()) {
      file.validation = validation_of(part, variant, place.staging.file(part.file), reference);
    } else if (options.validate) {
      log.warning(
          "bfloat16 models are written but not validated: ONNX Runtime's CPU provider has no bfloat16 "
          "MatMul");
    }
    report.files.push_back(std::move(file));
  }

  std::vector<OutputValidation> validation_of(const BuiltPart& part, const Variant& variant,
                                              const fs::path& file,
                                              const std::vector<ReferenceRun>& reference) {
    exporter::WrittenModel model;
    model.file = file;
    model.shown = (exporter::models_folder(options) / part.file).string();
    // Weights in the checkpoint's folder are looked for beside the final file, not the temporary one.
    if (in_place() && !ferry::is_regular_file(staging_weights(file))) model.weights_folder = options.output;
    model.quantized = rounds_ || !variant.quantization.method.empty();
    model.by_cosine = model.quantized && !options.atol;
    model.tolerance = tolerance(variant);
    model.onnxruntime = options.onnxruntime;
    report.atol = std::max(report.atol, model.tolerance.absolute);
    return exporter::prove(model, part.graph, reference, log);
  }

  // Whether ONNX Runtime rounds what it multiplies: differences are not checked one by one.
  bool rounds_ = false;

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
