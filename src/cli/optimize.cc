// ferry onnxruntime optimize: the flags of `optimum-cli onnxruntime optimize`, and a few of ours.
// Source: optimum-onnx 0.1.0, optimum/commands/onnxruntime/optimize.py.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "ferry/optimization.h"

namespace ferry::cli {
namespace {

namespace fs = std::filesystem;

struct OptimizeFlags {
  std::string onnx_model, output, level, config, onnxruntime;
  bool no_validation = false;
  std::vector<std::string> keep_fp32;
  ORTOptimizer::SaveOptions options;
};

OptimizationConfig chosen(const OptimizeFlags& flags, const Context& context) {
  if (!flags.config.empty()) {
    const ORTConfig config = ORTConfig::from_pretrained(flags.config);
    if (!config.optimization)
      throw Error(ErrorCode::invalid_config, printable(flags.config) + " asks for no optimization");
    return *config.optimization;
  }
  if (flags.level == "4")
    context.log().info("O4: half precision; ONNX Runtime's CPU provider runs it through casts to fp32.");
  if (!flags.level.empty())
    return AutoOptimizationConfig::with_optimization_level("O" + flags.level, flags.level == "4");
  throw Error(ErrorCode::usage, "Either -O1, -O2, -O3, -O4 or -c must be specified.");
}

nlohmann::ordered_json to_json(const OptimizationReport& report, const std::string& output) {
  auto files = nlohmann::ordered_json::array();
  for (const OptimizedFile& file : report.files) {
    files.push_back({{"file", file.file},
                     {"nodes_before", file.nodes_before},
                     {"nodes_after", file.nodes_after},
                     {"bytes", file.bytes},
                     {"raised", file.raised},
                     {"fused", file.fused},
                     {"operators", file.operators},
                     {"kept_in_fp32", file.kept_in_fp32},
                     {"max_difference", file.max_difference}});
  }
  return {{"output", output}, {"files", std::move(files)}, {"seconds", report.seconds}};
}

std::string counts(const std::map<std::string, size_t>& operators) {
  std::string out;
  for (const auto& [op_type, count] : operators)
    out += (out.empty() ? "" : ", ") + op_type + " x " + std::to_string(count);
  return out;
}

void tell(const OptimizedFile& file, const Context& context) {
  context.log().info("There are " + std::to_string(file.nodes_before) + " nodes before optimization and " +
                     std::to_string(file.nodes_after) + " after in " + file.file);
  if (!file.raised.empty()) context.log().info("Recognized: " + counts(file.raised));
  if (!file.fused.empty()) context.log().info("The following operators were fused : " + counts(file.fused));
}

void optimize(OptimizeFlags& flags, const Context& context) {
  if (flags.onnx_model.empty())
    throw Error(ErrorCode::usage, "--onnx_model is missing").with_hint("--onnx_model FOLDER");
  if (flags.output.empty()) throw Error(ErrorCode::usage, "--output is missing").with_hint("-o FOLDER");
  std::error_code ignored;
  if (flags.output == flags.onnx_model || fs::equivalent(flags.output, flags.onnx_model, ignored)) {
    throw Error(ErrorCode::usage,
                "The output directory must be different than the directory hosting the ONNX model.");
  }
  const OptimizationConfig config = chosen(flags, context);
  std::vector<std::string> names;
  for (const auto& file : files_with_extension(flags.onnx_model, ".onnx"))
    names.push_back(file.filename().string());
  const auto optimizer = ORTOptimizer::from_pretrained(flags.onnx_model, names);
  flags.options.validate = !flags.no_validation;
  flags.options.keep_fp32.insert(flags.keep_fp32.begin(), flags.keep_fp32.end());
  flags.options.onnxruntime =
      flags.onnxruntime.empty() ? context.variable("FERRY_ONNXRUNTIME") : flags.onnxruntime;
  flags.options.log = &context.log();
  const OptimizationReport report = optimizer.optimize(config, flags.output, flags.options);
  for (const OptimizedFile& file : report.files) tell(file, context);
  if (context.json()) context.print_json(to_json(report, flags.output));
}

}  // namespace

void add_optimize(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<OptimizeFlags>();
  CLI::App* app = context.command(parent, "optimize", "Optimize the ONNX models of a folder",
                                  [flags, &context] { optimize(*flags, context); });
  app->add_option("--onnx_model", flags->onnx_model, "Folder with the ONNX models to optimize");
  app->add_option("-o,--output", flags->output, "Folder for the optimized models; made if it is not there");
  // "-O2" is the short flag -O with its value.
  auto* level = app->add_option("-O", flags->level,
                                "-O1: constants folded, redundant nodes taken out; -O2: and the fusions of "
                                "transformers; -O3: and Gelu by tanh; -O4: and half precision")
                    ->check(CLI::IsMember({"1", "2", "3", "4"}));
  app->add_option("-c,--config", flags->config, "An ort_config.json that says what to do")->excludes(level);
  app->add_flag("--no-validation", flags->no_validation, "Do not compare the result with the model before");
  app->add_option("--atol", flags->options.atol,
                  "Largest absolute difference (default: 1e-4; 2e-2 for O3, O4)")
      ->check(not_negative());
  app->add_option("--keep-fp32", flags->keep_fp32, "Operators that O4 leaves in fp32, beside its own list");
  app->add_option("--onnxruntime", flags->onnxruntime, "The library of ONNX Runtime to validate with");
}

}  // namespace ferry::cli
