#include "exporter/optimization_config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary_files.h"
#include "base/text.h"
#include "exporter/ort_config.h"

namespace ferry {
namespace {

struct Switch {
  const char* name;
  bool OptimizationConfig::*member;
};
using Config = OptimizationConfig;
constexpr Switch kSwitches[] = {
    {"enable_transformers_specific_optimizations", &Config::enable_transformers_specific_optimizations},
    {"optimize_for_gpu", &Config::optimize_for_gpu},
    {"fp16", &Config::fp16},
    {"disable_gelu_fusion", &Config::disable_gelu_fusion},
    {"disable_attention_fusion", &Config::disable_attention_fusion},
    {"disable_bias_gelu_fusion", &Config::disable_bias_gelu_fusion},
    {"disable_layer_norm_fusion", &Config::disable_layer_norm_fusion},
    {"disable_rotary_embeddings", &Config::disable_rotary_embeddings},
    {"disable_skip_layer_norm_fusion", &Config::disable_skip_layer_norm_fusion},
    {"disable_bias_skip_layer_norm_fusion", &Config::disable_bias_skip_layer_norm_fusion},
    {"disable_skip_group_norm_fusion", &Config::disable_skip_group_norm_fusion},
    {"disable_bias_splitgelu_fusion", &Config::disable_bias_splitgelu_fusion},
    {"disable_bias_add_fusion", &Config::disable_bias_add_fusion},
    {"disable_group_norm_fusion", &Config::disable_group_norm_fusion},
    {"disable_embed_layer_norm_fusion", &Config::disable_embed_layer_norm_fusion},
    {"enable_gemm_fast_gelu_fusion", &Config::enable_gemm_fast_gelu_fusion},
    {"use_mask_index", &Config::use_mask_index},
    {"disable_packed_kv", &Config::disable_packed_kv},
    {"no_attention_mask", &Config::no_attention_mask},
    {"use_raw_attention_mask", &Config::use_raw_attention_mask},
    {"disable_shape_inference", &Config::disable_shape_inference},
    {"use_multi_head_attention", &Config::use_multi_head_attention},
    {"enable_gelu_approximation", &Config::enable_gelu_approximation},
    {"use_group_norm_channels_first", &Config::use_group_norm_channels_first},
    {"disable_packed_qkv", &Config::disable_packed_qkv},
    {"disable_nhwc_conv", &Config::disable_nhwc_conv},
};

}  // namespace

namespace exporter {

nlohmann::json to_json(const OptimizationConfig& config) {
  nlohmann::json out = {{"optimization_level", config.optimization_level}};
  for (const Switch& each : kSwitches) out[each.name] = config.*each.member;
  return out;
}

OptimizationConfig optimization_config(const nlohmann::json& json, std::string_view origin) {
  OptimizationConfig out;
  const auto invalid = [&](const std::string& key, const char* what) {
    throw Error(ErrorCode::invalid_config, fmt::format("{}: \"{}\" {}", origin, printable(key, 120), what));
  };
  for (const auto& [key, value] : json.items()) {
    if (key == "optimization_level") {
      if (!value.is_number_integer()) invalid(key, "is no whole number");
      out.optimization_level = value.get<int>();
      continue;
    }
    const auto* found = std::find_if(std::begin(kSwitches), std::end(kSwitches),
                                     [&name = key](const Switch& each) { return name == each.name; });
    if (found == std::end(kSwitches)) invalid(key, "is not a key of an OptimizationConfig");
    if (!value.is_boolean()) invalid(key, "is not true or false");
    out.*found->member = value.get<bool>();
  }
  return out;
}

}  // namespace exporter

void OptimizationConfig::check() const {
  const int level = optimization_level;
  if (level == 0 || level == 1 || level == 2 || level == 99) return;
  throw Error(ErrorCode::usage, fmt::format("optimization_level {} is not one of 0, 1, 2, 99", level));
}

OptimizationConfig AutoOptimizationConfig::O1(bool for_gpu) {
  OptimizationConfig out;
  out.enable_transformers_specific_optimizations = false;
  out.optimize_for_gpu = for_gpu;
  return out;
}
OptimizationConfig AutoOptimizationConfig::O2(bool for_gpu) {
  OptimizationConfig out;
  out.optimization_level = 2;
  out.optimize_for_gpu = for_gpu;
  return out;
}
OptimizationConfig AutoOptimizationConfig::O3(bool for_gpu) {
  OptimizationConfig out = O2(for_gpu);
  out.enable_gelu_approximation = true;
  return out;
}
OptimizationConfig AutoOptimizationConfig::O4(bool for_gpu) {
  OptimizationConfig out = O3(for_gpu);
  out.fp16 = true;
  return out;
}
OptimizationConfig AutoOptimizationConfig::with_optimization_level(const std::string& level, bool for_gpu) {
  if (level == "O1") return O1(for_gpu);
  if (level == "O2") return O2(for_gpu);
  if (level == "O3") return O3(for_gpu);
  if (level == "O4") return O4(for_gpu);
  throw Error(ErrorCode::usage,
              fmt::format("optimization_level must be in O1, O2, O3, O4, got {}", printable(level, 60)));
}

ORTConfig ORTConfig::from_pretrained(const std::filesystem::path& file_or_folder) {
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(file_or_folder, ignored);
  const auto file = folder ? file_or_folder / "ort_config.json" : file_or_folder;
  const exporter::OrtConfig read = exporter::read_ort_config(file);
  ORTConfig out;
  out.use_external_data_format = read.use_external_data_format;
  if (!read.optimization.empty())
    out.optimization = exporter::optimization_config(read.optimization, printable(file.string()));
  return out;
}

void ORTConfig::save_pretrained(const std::filesystem::path& folder) const {
  exporter::OrtConfig out;
  out.use_external_data_format = use_external_data_format;
  if (optimization) out.optimization = exporter::to_json(*optimization);
  StagingFolder staging(folder);
  staging.write("ort_config.json", exporter::to_text(out));
  staging.commit({});
}

}  // namespace ferry
