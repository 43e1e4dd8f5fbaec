#pragma once
// QuantizationConfig as the "quantization" of an ort_config.json.
#include <nlohmann/json_fwd.hpp>

#include "ferry/quantization.h"

namespace ferry::exporter {

nlohmann::json to_json(const QuantizationConfig& config);
/// Errors: Error{invalid_config} for an unknown key, a wrong type or an unknown name.
QuantizationConfig quantization_config_from(const nlohmann::json& json);

/// "minmax", "entropy", "percentile". Errors: Error{usage} for another.
CalibrationMethod calibration_method(const std::string& name);

/// config.operators_to_quantize, or all that the format and mode have.
std::vector<std::string> operators_of(const QuantizationConfig& config);

}  // namespace ferry::exporter
