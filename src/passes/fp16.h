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

/// Single numbers beyond f16 (the minimum of a mask) become +-65504, those too small for it stay above 0:
/// to_fp16 does the same. Apart, for a reference in f32 that an f16 graph can be compared with: what rows of
/// an attention give that may attend to nothing hangs on what that minimum leaves of their scores.
void clamp_numbers(ir::Graph& graph);

/// Makes f32 weights and arithmetic f16, subgraphs included. Operators that are kept, those of unknown
/// domains, and those on weights beyond f16 compute in f32 between casts. Single numbers beyond f16 (the
/// minimum of a mask) become +-65504, those too small for it stay above 0. Weights stay lazy, but each is
/// read once here to see what it holds. Keeps: names of inputs and outputs, and their types with
/// keep_io_types.
Fp16Report to_fp16(ir::Graph& graph, const Fp16Options& options);

}  // namespace ferry::passes
