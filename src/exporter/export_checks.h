#pragma once
// What an export is asked for, checked before anything is read. Errors: Error{usage} unless said otherwise.
#include <filesystem>
#include <string>
#include <vector>

#include "ferry/export.h"
#include "ferry/optimization.h"
#include "tensor/dtype.h"

namespace ferry::exporter {

/// "fp32", "fp16" or "bf16".
DType parse_dtype(const std::string& name);

/// The opset, 18 if none is asked for; older ones are a warning.
int checked_opset(std::optional<int> asked, const Log& log);

void check_shapes(const ShapeOptions& shapes);

OptimizationConfig checked_optimization(const MainExportOptions& options);

/// An export may replace the files of an earlier one in `folder`, nothing else unless told to.
/// Errors: Error{io}.
void check_output(const MainExportOptions& options, const std::filesystem::path& folder,
                  const std::vector<std::string>& names);

}  // namespace ferry::exporter
