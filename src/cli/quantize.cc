// ferry onnxruntime quantize: every .onnx file of a folder, as optimum-cli does.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/quantize_loss.h"
#include "cli/quantize_weights.h"
#include "exporter/ort_config.h"
#include "exporter/quantization_config.h"
#include "ferry/quantization.h"
#include "runtime/samples.h"

namespace ferry::cli {
namespace {

struct Preset {
  const char* name;
  const char* help;
};
constexpr std::array kPresets = {Preset{"arm64", "Quantization for the ARM64 architecture"},
                                 Preset{"avx2", "Quantization with AVX-2 instructions"},
                                 Preset{"avx512", "Quantization with AVX-512 instructions"},
                                 Preset{"avx512_vnni", "Quantization with AVX-512 and VNNI instructions"},
                                 Preset{"ppc64le", "Quantization for the PowerPC architecture"},
                                 Preset{"tensorrt", "Quantization for NVIDIA TensorRT optimizer: static"}};

// What calibration takes, as given.
struct CalibrationFlags {
  std::string data, method, onnxruntime;
  std::optional<int64_t> num_bins, num_quantized_bins;
  std::optional<double> percentile, averaging_constant;
  bool moving_average = false;
  size_t samples = 0;
  uint64_t max_length = 512;

  /// Whether anything is given that only calibration looks at.
  [[nodiscard]] bool any() const {
    return !data.empty() || !method.empty() || num_bins || num_quantized_bins || percentile ||
           averaging_constant || moving_average || samples > 0;
  }
};

struct Flags {
  std::string onnx_model, output, config;
  LossFlags loss;
  WeightFlags weights;
  std::array<bool, kPresets.size()> presets{};
  bool all_matmuls = false, qoperator = false;
  CalibrationFlags calibration;
  AutoQuantizationConfig::Options options;
};

// A file says all of it: what flags say beside it would be lost.
void check_no_options(const Flags& flags, const QuantizationConfig& config) {
  const auto& options = flags.options;
  const bool any = options.per_channel || options.reduce_range || !options.nodes_to_quantize.empty() ||
                   !options.nodes_to_exclude.empty() || !options.operators_to_quantize.empty() ||
                   (options.is_static && !config.is_static);
  if (!any) return;
  throw Error(ErrorCode::usage,
              "-c/--config goes without --static, --per_channel, --reduce_range, --operators_to_quantize, "
              "--nodes_to_quantize and --nodes_to_exclude: the file says all of it");
}

// The preset or the file that was asked for: exactly one. Optimum wants one for static quantization, too;
// here it is avx512_vnni (u8 activations, s8 weights) unless one is named.
QuantizationConfig chosen_config(const Flags& flags, ORTQuantizer::SaveOptions& saving) {
  std::string preset;
  size_t asked = flags.config.empty() ? 0 : 1;
  for (size_t i = 0; i < kPresets.size(); ++i) {
    if (!flags.presets[i]) continue;
    preset = kPresets[i].name;
    ++asked;
  }
  if (asked == 0 && flags.options.is_static) return AutoQuantizationConfig::avx512_vnni(flags.options);
  if (asked != 1) {
    throw Error(ErrorCode::usage,
                "one of the arguments --arm64 --avx2 --avx512 --avx512_vnni --ppc64le --tensorrt "
                "-c/--config is required, and only one");
  }
  if (preset.empty()) {
    const auto read = exporter::read_ort_config(flags.config);
    saving.use_external_data_format = read.use_external_data_format;
    const QuantizationConfig config = exporter::quantization_config_from(read.quantization);
    check_no_options(flags, config);
    return config;
  }
  return AutoQuantizationConfig::named(preset, flags.options);
}

// Errors: Error{usage} for options of another method.
CalibrationConfig calibration_config(const CalibrationFlags& flags) {
  CalibrationConfig out;
  const std::string method = flags.method.empty() ? "minmax" : flags.method;
  out.method = exporter::calibration_method(method);
  if (out.method == CalibrationMethod::Percentile)
    out.num_bins = AutoCalibrationConfig::percentiles().num_bins;
  const auto belongs = [&](bool given, const char* flag, std::initializer_list<CalibrationMethod> methods) {
    if (!given || std::find(methods.begin(), methods.end(), out.method) != methods.end()) return;
    throw Error(ErrorCode::usage, fmt::format("{} does not belong to --method {}", flag, method));
  };
  using enum CalibrationMethod;
  belongs(flags.num_bins.has_value(), "--num_bins", {Entropy, Percentile});
  belongs(flags.num_quantized_bins.has_value(), "--num_quantized_bins", {Entropy});
  belongs(flags.percentile.has_value(), "--percentile", {Percentile});
  belongs(flags.moving_average, "--moving_average", {MinMax});
  belongs(flags.averaging_constant.has_value(), "--averaging_constant", {MinMax});
  out.dataset_name = flags.data;
  out.num_bins = flags.num_bins.value_or(out.num_bins);
  out.num_quantized_bins = flags.num_quantized_bins.value_or(out.num_quantized_bins);
  out.percentile = flags.percentile.value_or(out.percentile);
  out.moving_average = flags.moving_average;
  out.averaging_constant = flags.averaging_constant.value_or(out.averaging_constant);
  out.check();
  return out;
}

Calibration calibration_of(const CalibrationFlags& flags, const Context& context) {
  Calibration out;
  out.config = calibration_config(flags);
  out.onnxruntime = flags.onnxruntime.empty() ? context.variable("FERRY_ONNXRUNTIME") : flags.onnxruntime;
  runtime::SampleOptions reading;
  reading.max_samples = flags.samples;
  reading.max_length = flags.max_length;
  out.samples = [reading, data = flags.data](const std::filesystem::path& model) {
    return runtime::read_samples(data, model, reading);
  };
  return out;
}

void check_static_flags(const Flags& flags, const QuantizationConfig& config) {
  const bool has_data = !flags.calibration.data.empty();
  if (config.is_static && !has_data) {
    throw Error(ErrorCode::usage,
                "static quantization needs data to calibrate with: --calibration data.jsonl")
        .with_hint("the presets but tensorrt quantize dynamically without --static");
  }
  if (!config.is_static && (flags.calibration.any() || flags.qoperator))
    throw Error(ErrorCode::usage, "--calibration, its options and --qoperator belong to --static");
  if (config.is_static && flags.all_matmuls)
    throw Error(ErrorCode::usage, "--all_matmuls belongs to dynamic quantization: static takes all");
}

std::string counts(const std::vector<QuantizedFile::Node>& nodes) {
  std::map<std::string, size_t> by_op;
  for (const auto& node : nodes) ++by_op[node.op_type];
  std::vector<std::string> parts;
  for (const auto& [op, count] : by_op) parts.push_back(fmt::format("{} {}", count, op));
  return join(parts);
}

// Nodes that stay in floating point, one line a reason.
void log_kept(const QuantizedFile& file, const Log& log) {
  std::map<std::string, std::vector<QuantizedFile::Node>> by_reason;
  for (const auto& node : file.kept) by_reason[node.why].push_back(node);
  for (const auto& [why, nodes] : by_reason)
    log.info(fmt::format("\t- kept as they are: {} ({})", counts(nodes), why));
}

nlohmann::ordered_json nodes_json(const std::vector<QuantizedFile::Node>& nodes) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const auto& node : nodes) {
    nlohmann::ordered_json entry = {{"name", node.name}, {"op_type", node.op_type}};
    if (!node.why.empty()) entry["why"] = node.why;
    out.push_back(std::move(entry));
  }
  return out;
}

nlohmann::ordered_json report_json(const QuantizationReport& report, const std::string& output) {
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const auto& file : report.files) {
    files.push_back({{"file", file.file},
                     {"bytes_before", file.bytes_before},
                     {"bytes_after", file.bytes_after},
                     {"quantized", nodes_json(file.quantized)},
                     {"kept", nodes_json(file.kept)}});
  }
  return {{"output", output}, {"files", std::move(files)}, {"seconds", report.seconds}};
}

SearchedQuantization quantize_weights(const Flags& flags, const ORTQuantizer::SaveOptions& saving,
                                      const Context& context) {
  const bool preset =
      std::any_of(flags.presets.begin(), flags.presets.end(), [](bool asked) { return asked; });
  const auto& options = flags.options;
  if (preset || !flags.config.empty() || options.is_static || options.per_channel || options.reduce_range ||
      flags.all_matmuls || flags.qoperator || !flags.calibration.data.empty()) {
    throw Error(
        ErrorCode::usage,
        "--int4 and --int8_weights quantize weights alone: no preset, nor an option of one, goes with "
        "them");
  }
  WeightQuantization config = weight_config(flags.weights);
  config.nodes_to_quantize = options.nodes_to_quantize;
  config.nodes_to_exclude = options.nodes_to_exclude;
  config.operators_to_quantize = options.operators_to_quantize;
  if (flags.loss.max_loss) {
    return quantize_within(limit_of(flags.loss, flags.calibration.onnxruntime, context), flags.onnx_model,
                           config, flags.output, saving);
  }
  SearchedQuantization out;
  out.quantization = quantize_folder(flags.onnx_model, config, flags.output, saving);
  return out;
}

SearchedQuantization quantize_integers(const Flags& flags, ORTQuantizer::SaveOptions& saving,
                                       const Context& context) {
  refuse_weight_flags(flags.weights);
  QuantizationConfig config = chosen_config(flags, saving);
  check_static_flags(flags, config);
  if (flags.all_matmuls) config.matmul_const_b_only = false;
  if (flags.qoperator) config.format = QuantFormat::QOperator;
  Calibration calibration;
  if (config.is_static) calibration = calibration_of(flags.calibration, context);
  const Calibration* data = config.is_static ? &calibration : nullptr;
  SearchedQuantization searched;
  if (flags.loss.max_loss) {
    searched = quantize_within(limit_of(flags.loss, flags.calibration.onnxruntime, context), flags.onnx_model,
                               config, flags.output, saving, data);
  } else {
    searched.quantization = quantize_folder(flags.onnx_model, config, flags.output, saving, data);
  }
  return searched;
}

void quantize(Flags& flags, const Context& context) {
  if (flags.onnx_model.empty()) throw Error(ErrorCode::usage, "--onnx_model is missing");
  if (flags.output.empty()) throw Error(ErrorCode::usage, "the output folder (-o) is missing");
  check(flags.loss, flags.onnx_model);
  ORTQuantizer::SaveOptions saving;
  saving.log = &context.log();
  const SearchedQuantization searched = flags.weights.asked() ? quantize_weights(flags, saving, context)
                                                              : quantize_integers(flags, saving, context);
  const QuantizationReport& report = searched.quantization;
  for (const auto& file : report.files) {
    context.log().info(fmt::format("{}: {:.1f} MB -> {:.1f} MB, quantized {}", printable(file.file),
                                   static_cast<double>(file.bytes_before) / 1e6,
                                   static_cast<double>(file.bytes_after) / 1e6, counts(file.quantized)));
    log_kept(file, context.log());
  }
  if (!flags.loss.report.empty())
    write_page(flags.loss, searched, flags.onnx_model, flags.output, flags.calibration.onnxruntime, context);
  if (!context.json()) return;
  nlohmann::ordered_json json = report_json(report, flags.output);
  if (flags.loss.max_loss) json["search"] = search_json(flags.loss, searched);
  context.print_json(json);
}

}  // namespace

namespace {

void add_static_flags(CLI::App& app, Flags& flags) {
  const char* group = "Static quantization";
  CalibrationFlags& calibration = flags.calibration;
  app.add_flag("--static", flags.options.is_static,
               "Activations have scales found on data beforehand; as --avx512_vnni unless one is named")
      ->group(group);
  app.add_option("--calibration", calibration.data, "The data: a .jsonl file, one sample a line")
      ->group(group);
  app.add_option("--method", calibration.method,
                 "How ranges are found: minmax (unless told otherwise), entropy, percentile")
      ->group(group);
  app.add_option("--num_calibration_samples", calibration.samples, "Lines that are read (0: all)")
      ->group(group);
  app.add_option("--max_length", calibration.max_length, "Tokens; longer texts are cut")->group(group);
  app.add_flag("--moving_average", calibration.moving_average, "minmax: means over samples, no extremes")
      ->group(group);
  app.add_option("--averaging_constant", calibration.averaging_constant, "minmax: smoothing, 0.01")
      ->group(group);
  app.add_option("--num_bins", calibration.num_bins, "entropy, percentile: of the histograms (128, 2048)")
      ->group(group);
  app.add_option("--num_quantized_bins", calibration.num_quantized_bins, "entropy: compared (128)")
      ->group(group);
  app.add_option("--percentile", calibration.percentile, "percentile: of the numbers within (99.999)")
      ->group(group);
  app.add_flag("--qoperator", flags.qoperator,
               "Operators on integers instead of QuantizeLinear and DequantizeLinear around operators")
      ->group(group);
  app.add_option("--onnxruntime", calibration.onnxruntime, "The library of ONNX Runtime to calibrate with")
      ->group(group);
}

}  // namespace

void add_quantize(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<Flags>();
  flags->options.per_channel = false;
  CLI::App* app = context.command(parent, "quantize", "Quantize the ONNX models of a folder",
                                  [flags, &context] { quantize(*flags, context); });
  app->add_option("--onnx_model", flags->onnx_model, "Folder that holds the ONNX models to quantize");
  app->add_option("-o,--output", flags->output, "Folder for the quantized models");
  const char* group = "For which processor (one of them)";
  for (size_t i = 0; i < kPresets.size(); ++i)
    app->add_flag(std::string("--") + kPresets[i].name, flags->presets[i], kPresets[i].help)->group(group);
  app->add_option("-c,--config", flags->config, "An ort_config.json with a quantization")->group(group);
  auto& options = flags->options;
  app->add_flag("--per_channel", options.per_channel,
                "One scale a column of a weight instead of one a weight");
  app->add_flag("--reduce_range", options.reduce_range, "Weights of 7 bits (avx2, avx512)");
  app->add_option("--operators_to_quantize", options.operators_to_quantize, "Operators, comma-separated")
      ->delimiter(',');
  app->add_option("--nodes_to_quantize", options.nodes_to_quantize, "Names of the only nodes to quantize")
      ->delimiter(',');
  app->add_option("--nodes_to_exclude", options.nodes_to_exclude, "Names of nodes to keep as they are")
      ->delimiter(',');
  add_static_flags(*app, *flags);
  add_loss_flags(*app, flags->loss);
  add_weight_flags(*app, flags->weights);
  app->add_flag("--all_matmuls", flags->all_matmuls,
                "Products of two activations, too (attention's), as Optimum does");
}

}  // namespace ferry::cli
