// ferry onnxruntime quantize: every .onnx file of a folder, as optimum-cli does.
#include <fmt/format.h>

#include <array>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "exporter/ort_config.h"
#include "exporter/quantization_config.h"
#include "ferry/quantization.h"

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

struct Flags {
  std::string onnx_model, output, config;
  std::array<bool, kPresets.size()> presets{};
  bool all_matmuls = false;
  AutoQuantizationConfig::Options options;
};

// The preset or the file that was asked for: exactly one.
QuantizationConfig chosen_config(const Flags& flags, ORTQuantizer::SaveOptions& saving) {
  std::string preset;
  size_t asked = flags.config.empty() ? 0 : 1;
  for (size_t i = 0; i < kPresets.size(); ++i) {
    if (!flags.presets[i]) continue;
    preset = kPresets[i].name;
    ++asked;
  }
  if (asked != 1) {
    throw Error(ErrorCode::usage,
                "one of the arguments --arm64 --avx2 --avx512 --avx512_vnni --ppc64le --tensorrt "
                "-c/--config is required, and only one");
  }
  if (preset.empty()) {
    const auto read = exporter::read_ort_config(flags.config);
    saving.use_external_data_format = read.use_external_data_format;
    return exporter::quantization_config_from(read.quantization);
  }
  if (preset == "tensorrt" && !flags.options.is_static) {
    throw Error(ErrorCode::usage,
                "TensorRT quantization relies on static quantization that requires calibration, which is not "
                "built yet")
        .with_hint("the other presets quantize dynamically, without calibration");
  }
  return AutoQuantizationConfig::named(preset, flags.options);
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

void quantize(Flags& flags, const Context& context) {
  if (flags.onnx_model.empty()) throw Error(ErrorCode::usage, "--onnx_model is missing");
  if (flags.output.empty()) throw Error(ErrorCode::usage, "the output folder (-o) is missing");
  ORTQuantizer::SaveOptions saving;
  saving.log = &context.log();
  QuantizationConfig config = chosen_config(flags, saving);
  if (flags.all_matmuls) config.matmul_const_b_only = false;
  const QuantizationReport report = quantize_folder(flags.onnx_model, config, flags.output, saving);
  for (const auto& file : report.files) {
    context.log().info(fmt::format("{}: {:.1f} MB -> {:.1f} MB, quantized {}", printable(file.file),
                                   static_cast<double>(file.bytes_before) / 1e6,
                                   static_cast<double>(file.bytes_after) / 1e6, counts(file.quantized)));
    log_kept(file, context.log());
  }
  if (context.json()) context.print_json(report_json(report, flags.output));
}

}  // namespace

void add_quantize(CLI::App& parent, Context& context) {
  auto flags = std::make_shared<Flags>();
  flags->options.per_channel = false;
  CLI::App* app =
      context.command(parent, "quantize", "Quantize the ONNX models of a folder to 8-bit integers",
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
  app->add_flag("--all_matmuls", flags->all_matmuls,
                "Products of two activations, too (attention's), as Optimum does");
}

}  // namespace ferry::cli
