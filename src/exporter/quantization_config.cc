#include "exporter/quantization_config.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "passes/quantize/dynamic.h"
#include "passes/quantize/static.h"

namespace ferry {
namespace {

constexpr const char* kTypes[] = {"QInt8", "QUInt8"};
constexpr const char* kFormats[] = {"QOperator", "QDQ"};
constexpr const char* kModes[] = {"IntegerOps", "QLinearOps"};

template <typename Enum, size_t N>
const char* name_of(Enum value, const char* const (&names)[N]) {
  return names[static_cast<size_t>(value)];
}

QuantizationConfig preset(const AutoQuantizationConfig::Options& options, QuantType weights,
                          bool reduce_range) {
  QuantizationConfig out;
  out.is_static = options.is_static;
  out.format = options.is_static ? QuantFormat::QDQ : QuantFormat::QOperator;
  out.mode = options.is_static ? QuantizationMode::QLinearOps : QuantizationMode::IntegerOps;
  out.activations_symmetric = options.use_symmetric_activations;
  out.weights_dtype = weights;
  out.weights_symmetric = options.use_symmetric_weights;
  out.per_channel = options.per_channel;
  out.reduce_range = reduce_range;
  out.nodes_to_quantize = options.nodes_to_quantize;
  out.nodes_to_exclude = options.nodes_to_exclude;
  out.operators_to_quantize = options.operators_to_quantize;
  return out;
}

}  // namespace

void QuantizationConfig::check() const {
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::usage, what); };
  if (!is_static && mode == QuantizationMode::QLinearOps)
    refuse("dynamic quantization (is_static = False) requires mode = QuantizationMode.IntegerOps");
  if (!is_static && activations_dtype == QuantType::QInt8)
    refuse("dynamic quantization (is_static = False) requires activations_dtype = QuantType.QUInt8");
  if (is_static && mode == QuantizationMode::IntegerOps)
    refuse("static quantization (is_static = True) requires mode = QuantizationMode.QLinearOps");
  if (is_static && activations_dtype == QuantType::QInt8 && weights_dtype == QuantType::QUInt8) {
    refuse(
        "static quantization does not support activations_dtype = QuantType.QInt8 with weights_dtype = "
        "QuantType.QUInt8");
  }
  const bool is_qdq = is_static && format == QuantFormat::QDQ;
  if (!is_static && format == QuantFormat::QDQ)
    refuse("dynamic quantization (is_static = False) has no QuantFormat.QDQ, only QuantFormat.QOperator");
  if (!is_qdq && (qdq_add_pair_to_weight || qdq_dedicated_pair))
    refuse(
        "qdq_add_pair_to_weight and qdq_dedicated_pair belong to static quantization with QuantFormat.QDQ");
}

std::string QuantizationConfig::str() const {
  return fmt::format("{} (mode: {}, schema: {}/{}, channel-wise: {})", name_of(format, kFormats),
                     name_of(mode, kModes), activations_dtype == QuantType::QInt8 ? "s8" : "u8",
                     weights_dtype == QuantType::QInt8 ? "s8" : "u8", per_channel ? "True" : "False");
}

QuantizationConfig AutoQuantizationConfig::arm64(const Options& options) {
  return preset(options, QuantType::QInt8, false);
}
QuantizationConfig AutoQuantizationConfig::avx2(const Options& options) {
  return preset(options, QuantType::QUInt8, options.reduce_range);
}
QuantizationConfig AutoQuantizationConfig::avx512(const Options& options) {
  return preset(options, QuantType::QInt8, options.reduce_range);
}
QuantizationConfig AutoQuantizationConfig::avx512_vnni(const Options& options) {
  return preset(options, QuantType::QInt8, false);
}
QuantizationConfig AutoQuantizationConfig::ppc64le(const Options& options) {
  return preset(options, QuantType::QInt8, false);
}

QuantizationConfig AutoQuantizationConfig::tensorrt(const Options& options) {
  QuantizationConfig out = preset(options, QuantType::QInt8, false);
  out.is_static = true;
  out.format = QuantFormat::QDQ;
  out.mode = QuantizationMode::QLinearOps;
  out.activations_dtype = QuantType::QInt8;
  out.activations_symmetric = true;
  out.weights_symmetric = true;
  out.qdq_add_pair_to_weight = true;
  out.qdq_dedicated_pair = true;
  return out;
}

QuantizationConfig AutoQuantizationConfig::named(const std::string& preset, const Options& options) {
  if (preset == "arm64") return arm64(options);
  if (preset == "avx2") return avx2(options);
  if (preset == "avx512") return avx512(options);
  if (preset == "avx512_vnni") return avx512_vnni(options);
  if (preset == "ppc64le") return ppc64le(options);
  if (preset == "tensorrt") return tensorrt(options);
  throw Error(ErrorCode::usage, fmt::format("there is no quantization preset \"{}\"", printable(preset)))
      .with_hint("arm64, avx2, avx512, avx512_vnni, ppc64le, tensorrt");
}

void CalibrationConfig::check() const {
  const auto refuse = [](const std::string& what) { throw Error(ErrorCode::usage, what); };
  // Time grows with their square by entropy.
  const int64_t most_bins = method == CalibrationMethod::Entropy ? 1 << 14 : 1 << 20;
  const bool counts = method != CalibrationMethod::MinMax;
  if (!(averaging_constant >= 0 && averaging_constant <= 1))
    refuse(fmt::format("Invalid averaging constant value ({}) should be within [0, 1]", averaging_constant));
  if (counts && (num_bins < 1 || num_bins > most_bins))
    refuse(fmt::format("Invalid value num_bins ({}) should be >= 1 and <= {}", num_bins, most_bins));
  if (method == CalibrationMethod::Entropy && (num_quantized_bins < 1 || num_quantized_bins > num_bins)) {
    refuse(fmt::format("Invalid value num_quantized_bins ({}) should be >= 1 and <= num_bins ({})",
                       num_quantized_bins, num_bins));
  }
  if (!(percentile >= 0 && percentile <= 100))
    refuse(fmt::format("Invalid value percentile ({}) should be within [0, 100]", percentile));
}

std::string CalibrationConfig::str() const {
  if (method == CalibrationMethod::Entropy)
    return fmt::format("Entropy (num_bins: {}, num_quantized_bins: {})", num_bins, num_quantized_bins);
  if (method == CalibrationMethod::Percentile)
    return fmt::format("Percentile (num_bins: {}, percentile: {})", num_bins, percentile);
  if (!moving_average) return "MinMax";
  return fmt::format("MinMax (moving average, averaging_constant: {})", averaging_constant);
}

CalibrationConfig AutoCalibrationConfig::minmax(bool moving_average, double averaging_constant) {
  CalibrationConfig out;
  out.moving_average = moving_average;
  out.averaging_constant = averaging_constant;
  out.check();
  return out;
}

CalibrationConfig AutoCalibrationConfig::entropy(int64_t num_bins, int64_t num_quantized_bins) {
  CalibrationConfig out;
  out.method = CalibrationMethod::Entropy;
  out.num_bins = num_bins;
  out.num_quantized_bins = num_quantized_bins;
  out.check();
  return out;
}

CalibrationConfig AutoCalibrationConfig::percentiles(int64_t num_bins, double percentile) {
  CalibrationConfig out;
  out.method = CalibrationMethod::Percentile;
  out.num_bins = num_bins;
  out.percentile = percentile;
  out.check();
  return out;
}

namespace exporter {
namespace {

[[noreturn]] void invalid(const std::string& what) {
  throw Error(ErrorCode::invalid_config, "\"quantization\" of an ort_config.json: " + what);
}

template <typename Enum, size_t N>
void read_enum(const nlohmann::json& json, const std::string& key, const char* const (&names)[N], Enum& out) {
  for (size_t i = 0; json.is_string() && i < N; ++i) {
    if (json.get<std::string>() == names[i]) {
      out = static_cast<Enum>(i);
      return;
    }
  }
  invalid(fmt::format("\"{}\" is none of {}", key, join(std::vector<std::string>(names, names + N))));
}

template <typename T>
void read_plain(const nlohmann::json& json, const std::string& key, T& out) {
  try {
    json.get_to(out);
  } catch (const nlohmann::json::exception&) {
    invalid(fmt::format("\"{}\" has a wrong type", key));
  }
}

void read_flag(const nlohmann::json& json, const std::string& key, bool& out) {
  if (!json.is_boolean()) invalid(fmt::format("\"{}\" is true or false", key));
  out = json.get<bool>();
}

}  // namespace

nlohmann::json to_json(const QuantizationConfig& config) {
  return {{"is_static", config.is_static},
          {"format", name_of(config.format, kFormats)},
          {"mode", name_of(config.mode, kModes)},
          {"activations_dtype", name_of(config.activations_dtype, kTypes)},
          {"activations_symmetric", config.activations_symmetric},
          {"weights_dtype", name_of(config.weights_dtype, kTypes)},
          {"weights_symmetric", config.weights_symmetric},
          {"per_channel", config.per_channel},
          {"reduce_range", config.reduce_range},
          {"nodes_to_quantize", config.nodes_to_quantize},
          {"nodes_to_exclude", config.nodes_to_exclude},
          {"operators_to_quantize", operators_of(config)},
          {"qdq_add_pair_to_weight", config.qdq_add_pair_to_weight},
          {"qdq_dedicated_pair", config.qdq_dedicated_pair},
          {"qdq_op_type_per_channel_support_to_axis", config.qdq_op_type_per_channel_support_to_axis}};
}

QuantizationConfig quantization_config_from(const nlohmann::json& json) {
  QuantizationConfig out;
  if (!json.is_object() || json.empty()) invalid("there is none");
  for (const auto& [key, value] : json.items()) {
    if (key == "is_static")
      read_flag(value, key, out.is_static);
    else if (key == "format")
      read_enum(value, key, kFormats, out.format);
    else if (key == "mode")
      read_enum(value, key, kModes, out.mode);
    else if (key == "activations_dtype")
      read_enum(value, key, kTypes, out.activations_dtype);
    else if (key == "activations_symmetric")
      read_flag(value, key, out.activations_symmetric);
    else if (key == "weights_dtype")
      read_enum(value, key, kTypes, out.weights_dtype);
    else if (key == "weights_symmetric")
      read_flag(value, key, out.weights_symmetric);
    else if (key == "per_channel")
      read_flag(value, key, out.per_channel);
    else if (key == "reduce_range")
      read_flag(value, key, out.reduce_range);
    else if (key == "nodes_to_quantize")
      read_plain(value, key, out.nodes_to_quantize);
    else if (key == "nodes_to_exclude")
      read_plain(value, key, out.nodes_to_exclude);
    else if (key == "operators_to_quantize")
      read_plain(value, key, out.operators_to_quantize);
    else if (key == "qdq_add_pair_to_weight")
      read_flag(value, key, out.qdq_add_pair_to_weight);
    else if (key == "qdq_dedicated_pair")
      read_flag(value, key, out.qdq_dedicated_pair);
    else if (key == "qdq_op_type_per_channel_support_to_axis")
      read_plain(value, key, out.qdq_op_type_per_channel_support_to_axis);
    else if (key == "matmul_const_b_only")
      read_flag(value, key, out.matmul_const_b_only);
    else
      invalid(fmt::format("unknown key \"{}\"", printable(key)));
  }
  out.check();
  return out;
}

CalibrationMethod calibration_method(const std::string& name) {
  if (name == "minmax") return CalibrationMethod::MinMax;
  if (name == "entropy") return CalibrationMethod::Entropy;
  if (name == "percentile") return CalibrationMethod::Percentile;
  throw Error(ErrorCode::usage, fmt::format("there is no calibration method \"{}\"", printable(name)))
      .with_hint("minmax, entropy, percentile");
}

std::vector<std::string> operators_of(const QuantizationConfig& config) {
  if (!config.operators_to_quantize.empty()) return config.operators_to_quantize;
  if (!config.is_static) return passes::dynamic_operators();
  return passes::static_operators(config.format == QuantFormat::QDQ ? passes::StaticFormat::qdq
                                                                    : passes::StaticFormat::qoperator);
}

}  // namespace exporter
}  // namespace ferry
