#pragma once
// Rotary embeddings whose frequencies do not depend on the text, as tables over all positions.
#include <optional>
#include <string>

#include "passes/fuse/fusion.h"

namespace ferry::passes {

/// The positions of a RotaryEmbedding node, and cosines and sines of every position from 0 on.
struct Rotation {
  ir::Value* positions = nullptr;  ///< i64[B, S]
  Weight cosines, sines;           ///< [max_positions, half]
};
/// Reads cos(position * frequency) and sin(...) off the nodes that make them; nothing where the frequencies
/// are not constant (dynamic, longrope) or options.max_positions is 0.
std::optional<Rotation> rotation_of(const Fusion& at, const ir::Node& rotary);

}  // namespace ferry::passes
