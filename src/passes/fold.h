#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "ir/graph.h"

namespace ferry::passes {

/// Computes a node all of whose inputs are weights: one weight a result, or nothing if it cannot.
using Evaluator = std::function<std::optional<std::vector<Weight>>(const ir::Node&)>;

/// Replaces nodes whose results are known by weights: what moves whole weights (Transpose, Reshape, Concat,
/// Slice, Cast) as lazy expressions, shape arithmetic with a constant result, and what `evaluate` computes
/// from inputs of together at most `most_bytes` bytes. Nothing large is read, and no large weight that other
/// operators need as it is gets a moved copy.
/// Keeps: inputs, outputs and their names, numbers. Returns how many nodes went.
size_t fold_constants(ir::Graph& graph, const Evaluator& evaluate = nullptr, uint64_t most_bytes = 1 << 16);

/// Gives a MatMul whose right side is a transposed weight a weight of its own, for a quantizer that stores
/// both differently anyhow: the head of a language model that is tied to the embeddings. Returns how many.
size_t untie_products(ir::Graph& graph);

}  // namespace ferry::passes
