#pragma once
#include <cstddef>
#include <map>
#include <string>

#include "ir/graph.h"

namespace ferry::passes {

/// What to recognize.
struct RaiseOptions {
  bool normalization = true;
  bool activation = true;
  bool rotary = true;
  bool attention = true;
};

/// Recognizes, in graphs of primitives, what ferry's own definitions say directly, and says it so:
/// LayerNormalization, RMSNormalization, Gelu (erf and tanh), Swish (QuickGelu is one), Mish, Attention with
/// scale, bias, boolean mask, softcap and grouped keys, RotaryEmbedding; subgraphs included. For graphs of
/// ir::kNewestOpset whose constants are folded and whose equal nodes are shared.
/// A rule looks at the values it replaces only; others that use what lies between keep it.
/// Keeps: inputs, outputs and their names; numbers up to the order of a sum, and rows of attention that may
/// attend to nothing, which become 0 where a boolean mask says so.
/// Returns how often each operator was found.
std::map<std::string, size_t> raise(ir::Graph& graph, const RaiseOptions& options = {});

}  // namespace ferry::passes
