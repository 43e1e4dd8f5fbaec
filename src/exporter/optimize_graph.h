#pragma once
#include "ferry/optimization.h"
#include "passes/optimize.h"

namespace ferry::exporter {

/// What the passes are to do for a configuration.
passes::OptimizeOptions optimize_options(const OptimizationConfig& config,
                                         const std::set<std::string, std::less<>>& keep_fp32);

}  // namespace ferry::exporter
