#pragma once
// What an exported decoder allows its runtime to do with the cache.
#include "ir/graph.h"

namespace ferry::exporter {

/// Keys of a model's metadata_props, with the value "true" where it holds.
inline constexpr const char* kSharedCache = "ferry.past_present_share_buffer";  ///< has_shared_cache().
/// Some attention is ONNX Runtime's GroupQueryAttention, which takes several new tokens on a past in batches
/// of one row alone.
inline constexpr const char* kGroupQueryAttention = "ferry.group_query_attention";

/// Whether past_key_values.* and present.* of a graph may be the same buffers, longer than the text: each
/// past is read by a GroupQueryAttention that makes its present, and by nothing else, not even for its shape.
/// False for a graph without a cache.
bool has_shared_cache(const ir::Graph& graph);

/// Puts into the graph's metadata what of that holds.
void note_cache(ir::Graph& graph);

}  // namespace ferry::exporter
