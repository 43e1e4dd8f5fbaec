#pragma once
// Results as JSON.
#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "ferry/export.h"

namespace ferry::cli {

nlohmann::ordered_json to_json(const ExportReport& report, const std::filesystem::path& output);
nlohmann::ordered_json to_json(const ModelInfo& info);
nlohmann::ordered_json to_json(const Error& error);

}  // namespace ferry::cli
