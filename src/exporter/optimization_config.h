#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "ferry/optimization.h"

namespace ferry::exporter {

/// The object under "optimization" of ort_config.json.
nlohmann::json to_json(const OptimizationConfig& config);
/// Errors: Error{invalid_config} that names a key which is unknown or of another type.
OptimizationConfig optimization_config(const nlohmann::json& json, std::string_view origin);

}  // namespace ferry::exporter
