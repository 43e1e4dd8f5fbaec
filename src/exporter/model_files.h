#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "ir/graph.h"

namespace ferry::exporter {

/// The .onnx files of a folder, sorted. Errors: Error{not_found} if there is no folder, or no such file.
std::vector<std::filesystem::path> model_files(const std::filesystem::path& folder);

/// The size of the model's file and of those that its weights lie in.
uint64_t stored_bytes(const std::filesystem::path& model, const ir::Graph& graph);

}  // namespace ferry::exporter
