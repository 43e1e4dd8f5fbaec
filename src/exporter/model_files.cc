#include "exporter/model_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ferry::exporter {

std::vector<std::filesystem::path> model_files(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored))
    throw Error(ErrorCode::not_found, fmt::format("there is no folder {}", printable(folder.string())));
  auto out = files_with_extension(folder, ".onnx");
  if (out.empty()) {
    throw Error(ErrorCode::not_found,
                fmt::format("Could not find any ONNX model file in {}", printable(folder.string())));
  }
  return out;
}

uint64_t stored_bytes(const std::filesystem::path& model, const ir::Graph& graph) {
  std::vector<std::filesystem::path> files = {model};
  for (const ir::Value* value : graph.used_weights()) {
    if (const auto range = value->weight->file_range()) files.push_back(range->file);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  uint64_t out = 0;
  std::error_code ignored;
  for (const auto& file : files) out += std::filesystem::file_size(file, ignored);
  return out;
}

}  // namespace ferry::exporter
