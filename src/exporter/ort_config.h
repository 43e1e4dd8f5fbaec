#pragma once
// ort_config.json: what was done to a model, as Optimum writes it, and what is to be done.
// Source: optimum-onnx 0.1.0, ORTConfig.
#include <filesystem>
#include <nlohmann/json.hpp>

namespace ferry::exporter {

struct OrtConfig {
  bool use_external_data_format = false;
  nlohmann::json optimization = nlohmann::json::object();  ///< Empty: none.
  nlohmann::json quantization = nlohmann::json::object();
};

/// The file's text: keys sorted, enumerations by name.
std::string to_text(const OrtConfig& config);
/// Errors: Error{not_found}, Error{invalid_config} for a file that is no ORTConfig.
OrtConfig read_ort_config(const std::filesystem::path& file);

}  // namespace ferry::exporter
