#include "exporter/export_checks.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "ir/graph.h"

namespace ferry::exporter {
namespace fs = std::filesystem;

namespace {
constexpr int kDefaultOpset = 18;
constexpr int kOldestOpset = 13;
}  // namespace

DType parse_dtype(const std::string& name) {
  if (name == "fp32") return DType::f32;
  if (name == "fp16") return DType::f16;
  if (name == "bf16") return DType::bf16;
  throw Error(ErrorCode::usage, fmt::format("--dtype {} is not one of fp32, fp16, bf16", printable(name)));
}

int checked_opset(std::optional<int> asked, const Log& log) {
  const int opset = asked.value_or(kDefaultOpset);
  if (opset < kOldestOpset || opset > ir::kNewestOpset) {
    throw Error(ErrorCode::usage,
                fmt::format("--opset {} is out of range: {} to {}", opset, kOldestOpset, ir::kNewestOpset));
  }
  if (opset < kDefaultOpset)
    log.warning(fmt::format("Opset {} is lower than the recommended minmum opset ({}) to export", opset,
                            kDefaultOpset));
  return opset;
}

void check_shapes(const ShapeOptions& shapes) {
  for (const int64_t size :
       {shapes.batch_size, shapes.sequence_length, shapes.num_choices, shapes.width, shapes.height,
        shapes.num_channels, shapes.feature_size, shapes.nb_max_frames, shapes.audio_sequence_length,
        shapes.point_batch_size, shapes.nb_points_per_image, shapes.visual_seq_length}) {
    if (size < 1 || size > (1 << 24))
      throw Error(ErrorCode::usage, fmt::format("a shape of {} is out of range: 1 to {}", size, 1 << 24));
  }
}

OptimizationConfig checked_optimization(const MainExportOptions& options) {
  const auto config = AutoOptimizationConfig::with_optimization_level(options.optimize);
  const bool half = config.fp16 && options.dtype != "fp32";
  if (half || (config.fp16 && options.weights == MainExportOptions::Weights::in_place)) {
    throw Error(ErrorCode::usage,
                half ? "--optimize O4 makes half precision of fp32: --dtype does the same already"
                     : "--optimize O4 changes every weight, which --weights in-place leaves alone");
  }
  return config;
}

void check_output(const MainExportOptions& options, const fs::path& folder,
                  const std::vector<std::string>& names) {
  if (options.overwrite || !files_with_extension(folder, ".onnx").empty()) return;
  for (const auto& name : names) {
    std::error_code ignored;
    if (!fs::exists(fs::symlink_status(folder / name, ignored))) continue;
    throw Error(ErrorCode::io, fmt::format("{} holds {} and no ONNX model: it is not an earlier export",
                                           printable(folder.string()), name))
        .with_hint("choose another folder, or pass --overwrite to replace its files");
  }
}

}  // namespace ferry::exporter
