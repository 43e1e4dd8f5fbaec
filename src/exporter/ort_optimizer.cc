#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/temporary_files.h"
#include "base/text.h"
#include "exporter/evaluate.h"
#include "exporter/graph_inputs.h"
#include "exporter/model_files.h"
#include "exporter/optimization_config.h"
#include "exporter/optimize_graph.h"
#include "exporter/ort_config.h"
#include "exporter/side_files.h"
#include "exporter/validate.h"
#include "onnx/reader.h"
#include "onnx/writer.h"
#include "passes/rewrite.h"

namespace ferry {
namespace {
namespace fs = std::filesystem;
using Counts = std::map<std::string, int64_t>;

void count_operators(const ir::Graph& graph, Counts& counts, int64_t sign) {
  for (const auto& node : graph.nodes()) {
    counts[node->op_type] += sign;
    for (const auto& [name, attribute] : node->attributes) {
      if (const auto* inner = std::get_if<ir::GraphPtr>(&attribute)) count_operators(**inner, counts, sign);
    }
  }
}

Counts without_zeros(Counts counts) {
  std::erase_if(counts, [](const auto& entry) { return entry.second == 0; });
  return counts;
}

ir::Graph read_as_stored(const fs::path& model) {
  onnx::ReadOptions options;
  options.keep_constants = true;
  options.infer_shapes = false;
  return onnx::read_model(model, options);
}

int64_t total(const Counts& counts) {
  int64_t out = 0;
  for (const auto& [op_type, count] : counts) out += count;
  return out;
}

nlohmann::ordered_json config_of(const fs::path& folder) {
  const auto file = folder / "config.json";
  return ferry::is_regular_file(file) ? read_json(file) : nlohmann::ordered_json();
}

// One file.
class Optimization {
 public:
  Optimization(const OptimizationConfig& config, const ORTOptimizer::SaveOptions& options, const Log& log,
               StagingFolder& staging)
      : config_(config), options_(options), log_(log), staging_(staging) {}

  OptimizedFile run(const fs::path& model) const {
    return with_context(printable(model.filename().string()), [&] { return optimize(model); });
  }

 private:
  OptimizedFile optimize(const fs::path& model) const {
    onnx::ReadOptions reading;
    reading.log = &log_;
    ir::Graph graph = onnx::read_model(model, reading);
    OptimizedFile out;
    const std::string suffix = options_.file_suffix.empty() ? "" : "_" + options_.file_suffix;
    out.file = model.stem().string() + suffix + ".onnx";
    const bool external = uses_external_data(graph, model);
    Counts before;
    count_operators(graph, before, 1);
    out.nodes_before = static_cast<size_t>(total(before));
    const bool random = exporter::is_random(graph);
    std::vector<exporter::ReferenceRun> reference;
    if (options_.validate && random)
      log_.warning("the model draws random numbers: its results are not compared");
    if (options_.validate && !random) reference = reference_runs(model, graph);
    if (config_.optimization_level > 0 || config_.fp16) {
      auto wanted = exporter::optimize_options(config_, options_.keep_fp32);
      // GroupQueryAttention refuses batches that the model takes.
      if (wanted.fuse) wanted.fuse->group_query = false;
      const auto report = passes::optimize(graph, wanted);
      out.raised = report.found;
      out.fused = report.fused;
      out.kept_in_fp32 = report.fp16.overflowing;
    }
    for (const auto& name : out.kept_in_fp32)
      log_.warning(
          fmt::format("{} holds numbers beyond fp16's 65504 and stays in fp32", printable(name, 120)));
    Counts after;
    count_operators(graph, after, 1);
    out.nodes_after = static_cast<size_t>(total(after));
    for (const auto& [op_type, count] : before) after[op_type] -= count;
    out.operators = without_zeros(std::move(after));
    write(graph, external, out);
    if (!reference.empty()) compare(reference, graph, out);
    return out;
  }

  static bool uses_external_data(const ir::Graph& graph, const fs::path& model) {
    const auto weights = graph.used_weights();
    return std::any_of(weights.begin(), weights.end(), [&](const ir::Value* value) {
      const auto range = value->weight->file_range();
      return range && range->file != model;
    });
  }

  // What had its weights beside it keeps them there.
  void write(const ir::Graph& graph, bool external, OptimizedFile& out) const {
    onnx::WriteOptions writing;
    writing.producer_version = FERRY_VERSION;
    writing.external_name = out.file + "_data";
    if (external) writing.weights = onnx::WriteOptions::Weights::external;
    writing.log = &log_;
    writing.sync = false;  // The staging folder syncs what it commits.
    const auto written =
        onnx::write_model(graph, {staging_.file(out.file), staging_.file(writing.external_name)}, writing);
    out.bytes = written.model_bytes + written.external_bytes;
  }

  [[nodiscard]] exporter::Tolerance tolerance() const {
    const bool approximate = config_.fp16 || config_.enable_gelu_approximation;
    exporter::Tolerance out = approximate ? exporter::Tolerance{2e-2, 1e-2} : exporter::Tolerance{1e-4, 1e-4};
    if (options_.atol) out.absolute = *options_.atol;
    return out;
  }

  [[nodiscard]] ort::Session session(const fs::path& model) const {
    ort::RuntimeOptions runtime_options;  // Without a log: what fails is thrown.
    runtime_options.library = options_.onnxruntime;
    ort::SessionOptions session_options;
    session_options.severity = LogLevel::error;
    session_options.graph_optimization = ort::GraphOptimization::basic;
    session_options.memory_pattern = false;
    return ort::Session(ort::Runtime::open(runtime_options), model, session_options);
  }

  static std::vector<std::string> output_names(const ir::Graph& graph) {
    std::vector<std::string> names;
    for (const ir::Value* output : graph.outputs) names.push_back(output->name);
    return names;
  }

  // The original is the reference, both are run by ONNX Runtime.
  void compare(const std::vector<exporter::ReferenceRun>& reference, const ir::Graph& graph,
               OptimizedFile& out) const {
    const ort::Session optimized = session(staging_.path() / out.file);
    const auto found = exporter::compare(reference, optimized, output_names(graph), tolerance(),
                                         (staging_.output() / out.file).string(), log_);
    std::vector<std::string> wrong;
    for (const auto& output : found) {
      out.max_difference[output.name] = output.max_difference;
      if (!output.within_tolerance)
        wrong.push_back(fmt::format("{}: max diff = {}", output.name, output.max_difference));
    }
    if (wrong.empty()) return;
    throw Error(ErrorCode::validation_failed,
                fmt::format("the optimized model's outputs are not within {} of the original's: {}",
                            tolerance().absolute, join(wrong)))
        .with_hint("nothing was written; a lower level changes less, --atol sets another tolerance");
  }

  [[nodiscard]] std::vector<exporter::ReferenceRun> reference_runs(const fs::path& model,
                                                                   const ir::Graph& graph) const {
    const ort::Session original = session(model);
    const auto config = config_of(model.parent_path());
    const auto names = output_names(graph);
    for (const int64_t scale : {1, 16, 64}) {
      try {
        return runs(original, exporter::graph_inputs(graph, config, scale), names);
      } catch (Error& error) {
        constexpr int64_t kLast = 64;
        if (error.code() == ErrorCode::runtime && scale != kLast) continue;
        throw error.with_hint(
            "the original model does not run on the example inputs that ferry made: --no-validation skips "
            "the "
            "comparison");
      }
    }
    return {};
  }

  static std::vector<exporter::ReferenceRun> runs(const ort::Session& original,
                                                  const std::vector<exporter::TensorMap>& examples,
                                                  const std::vector<std::string>& names) {
    std::vector<exporter::ReferenceRun> out;
    for (const auto& inputs : examples) {
      exporter::ReferenceRun run{inputs, {}};
      std::vector<HostTensor> outputs = original.run(inputs, names);
      for (size_t i = 0; i < names.size(); ++i) run.outputs.emplace(names[i], std::move(outputs[i]));
      out.push_back(std::move(run));
    }
    return out;
  }

  const OptimizationConfig& config_;
  const ORTOptimizer::SaveOptions& options_;
  const Log& log_;
  StagingFolder& staging_;
};

}  // namespace

namespace exporter {

passes::FuseOptions fuse_options(const OptimizationConfig& config) {
  passes::FuseOptions out;
  out.gelu = !config.disable_gelu_fusion;
  out.bias_gelu = !config.disable_bias_gelu_fusion;
  out.layer_norm = !config.disable_layer_norm_fusion;
  // On the CPU the fused kernel is slower than the sum and the norm that ONNX Runtime runs apart.
  out.skip_layer_norm = !config.disable_skip_layer_norm_fusion && config.optimize_for_gpu;
  out.bias_skip_layer_norm = !config.disable_bias_skip_layer_norm_fusion;
  out.attention = !config.disable_attention_fusion;
  out.rotary_embeddings = !config.disable_rotary_embeddings;
  out.packed_qkv = !config.disable_packed_qkv;
  return out;
}

passes::OptimizeOptions optimize_options(const OptimizationConfig& config,
                                         const std::set<std::string, std::less<>>& keep_fp32) {
  passes::OptimizeOptions out;
  out.transformers = config.enable_transformers_specific_optimizations && config.optimization_level > 1;
  out.raise.normalization = !config.disable_layer_norm_fusion;
  out.raise.activation = !config.disable_gelu_fusion;
  out.raise.rotary = !config.disable_rotary_embeddings;
  out.raise.attention = !config.disable_attention_fusion;
  // Half precision stays with ONNX's own operators: ONNX Runtime's CPU provider has most of its own in f32
  // alone.
  if (out.transformers && !config.fp16) out.fuse = fuse_options(config);
  out.gelu_approximation = config.enable_gelu_approximation;
  out.fp16 = config.fp16;
  out.fp16_options.keep_operators = passes::fp16_kept_operators();
  out.fp16_options.keep_operators.insert(keep_fp32.begin(), keep_fp32.end());
  out.evaluate = evaluate;
  return out;
}

}  // namespace exporter

ORTOptimizer ORTOptimizer::from_pretrained(const fs::path& folder,
                                           const std::vector<std::string>& file_names) {
  if (file_names.empty()) {
    if (ferry::is_regular_file(folder / "model.onnx")) return ORTOptimizer({folder / "model.onnx"});
    return ORTOptimizer(exporter::model_files(folder));
  }
  std::vector<fs::path> models;
  for (const auto& name : file_names) {
    check_relative_name(name, "file_names");
    if (!ferry::is_regular_file(folder / name)) {
      throw Error(ErrorCode::not_found,
                  fmt::format("there is no {} in {}", printable(name), printable(folder.string())));
    }
    models.push_back(folder / name);
  }
  return ORTOptimizer(std::move(models));
}

OptimizationReport ORTOptimizer::optimize(const OptimizationConfig& config, const fs::path& save_dir,
                                          const SaveOptions& options) const {
  static const Log silent;
  const Log& log = options.log != nullptr ? *options.log : silent;
  const auto start = std::chrono::steady_clock::now();
  config.check();
  OptimizationReport report;
  StagingFolder staging(save_dir);
  log.info("Optimizing model...");
  std::vector<std::string> names;
  bool external = false;
  for (const auto& model : models_) {
    report.files.push_back(Optimization(config, options, log, staging).run(model));
    names.push_back(report.files.back().file);
    external = external || ferry::is_regular_file(staging.path() / (names.back() + "_data"));
  }
  exporter::OrtConfig saved;
  saved.use_external_data_format = external;
  saved.optimization = exporter::to_json(config);
  staging.write("ort_config.json", exporter::to_text(saved));
  const auto folder = models_[0].parent_path();
  std::error_code ignored;
  if (!fs::equivalent(folder, save_dir, ignored)) exporter::copy_side_files(folder, staging);
  staging.commit(names);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  log.info(fmt::format(
      "Optimized model saved at: {} (external data format: {}; saved all tensor to one file: True)",
      printable(save_dir.string(), 1000), external ? "True" : "False"));
  return report;
}

std::map<std::string, size_t> ORTOptimizer::get_fused_operators(const fs::path& model) {
  ir::Graph graph = read_as_stored(model);
  std::map<std::string, size_t> out;
  passes::for_each_graph(graph, [&](ir::Graph& each) {
    for (const auto& node : each.nodes()) {
      if (node->domain == ir::kMicrosoftDomain) ++out[node->op_type];
    }
  });
  return out;
}

int64_t ORTOptimizer::get_nodes_number_difference(const fs::path& model, const fs::path& optimized) {
  return static_cast<int64_t>(read_as_stored(model).nodes().size()) -
         static_cast<int64_t>(read_as_stored(optimized).nodes().size());
}

Counts ORTOptimizer::get_operators_difference(const fs::path& model, const fs::path& optimized) {
  Counts counts;
  count_operators(read_as_stored(model), counts, 1);
  count_operators(read_as_stored(optimized), counts, -1);
  return without_zeros(std::move(counts));
}

}  // namespace ferry
