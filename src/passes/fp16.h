#pragma once
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace ferry::passes {

struct Fp16Options {
  bool keep_io_types = true;  ///< Inputs and outputs of the graph stay f32.
  /// Operators that compute in f32, with casts around them.
  std::set<std::string, std::less<>> keep_operators;
  std::set<std::string, std::less<>> keep_nodes;  ///< The same by node name.
};

struct Fp16Report {
  size_t converted = 0;  ///< Weights.
  /// Weights with numbers that f16 does not hold: they and the nodes that use them stay f32.
  std::vector<std::string> overflowing;
};

/// The operators that ONNX Runtime's converter keeps in f32, and those whose results f16 cannot hold.
const std::set<std::string, std::less<>>& fp16_kept_operators();

/// Makes f32 weights and arithmetic f16, subgraphs included. Operators that are kept, those of unknown
/// domains, and those on weights beyond f16 compute in f32 between casts. Single numbers beyond f16 (the
/// minimum of a mask) become +-16384, which leaves nothing of a score and does not overflow when two are
/// added; those below it stay above 0. Weights stay lazy, but each is read once here to see what it holds.
/// Keeps: names of inputs and outputs, and their types with keep_io_types.
Fp16Report to_fp16(ir::Graph& graph, const Fp16Options& options);

}  // namespace ferry::passes
