#pragma once
#include "ferry/compare.h"
#include "ir/graph.h"

namespace ferry::runtime {

/// Counts the weights of both graphs over the same bins, which reach 4 standard deviations of A's weights to
/// each side. Of very large graphs a regular part is read.
WeightHistogram count_weights(const ir::Graph& a, const ir::Graph& b, size_t bins = 81);

}  // namespace ferry::runtime
