#pragma once
#include <filesystem>
#include <vector>

namespace ferry::exporter {

/// The .onnx files of a folder, sorted. Errors: Error{not_found} if there is no folder, or no such file.
std::vector<std::filesystem::path> model_files(const std::filesystem::path& folder);

}  // namespace ferry::exporter
