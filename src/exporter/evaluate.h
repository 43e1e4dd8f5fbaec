#pragma once
#include <optional>
#include <vector>

#include "ir/graph.h"

namespace ferry::exporter {

/// Computes a node all of whose inputs are weights with the reference interpreter. Nothing for what it does
/// not compute exactly as a runtime would (f64, strings), does not know, or would make large.
std::optional<std::vector<Weight>> evaluate(const ir::Node& node);

}  // namespace ferry::exporter
