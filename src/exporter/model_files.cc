#include "exporter/model_files.h"

#include <fmt/format.h>

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

}  // namespace ferry::exporter
