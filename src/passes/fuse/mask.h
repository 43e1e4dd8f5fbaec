#pragma once
// What a mask of an attention says, read off the few nodes that make it.
#include <cstdint>
#include <optional>

#include "ir/graph.h"

namespace ferry::passes {

/// true where key j <= query i, padding[b, j] != 0 and, with a window, j > i - window: bool[B, 1, S, T].
/// Queries are the last S of T.
struct CausalMask {
  ir::Value* padding = nullptr;  ///< [B, T], an integer: 0 is padding.
  int64_t window = 0;            ///< 0: none.
  ir::Value* start = nullptr;    ///< Of the queries: T - S.
  ir::Value* limit = nullptr;    ///< T.
};
std::optional<CausalMask> causal_mask(const ir::Value* mask);

/// The attention_mask i64[B, T] of an additive mask [B, 1, 1, T] that is the lowest number where it is 0, and
/// else 0; or nullptr.
ir::Value* padding_mask(const ir::Value* mask);

/// Whether positions [B, S] are start, start + 1, ... in every row, as the queries of `mask` are counted.
bool are_counted(const ir::Value* positions, const CausalMask& mask);

}  // namespace ferry::passes
