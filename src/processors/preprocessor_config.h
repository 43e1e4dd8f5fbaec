#pragma once
#include <filesystem>
#include <string>

namespace ferry::processors {

/// The texts that say how inputs are prepared.
struct PreprocessorConfig {
  std::string preprocessor;  ///< preprocessor_config.json, or processor_config.json.
  std::string model;         ///< config.json, or "".
};
/// Errors: Error{not_found} without the first, Error{invalid_file} for files that are too long.
PreprocessorConfig read_preprocessor_config(const std::filesystem::path& folder);

}  // namespace ferry::processors
