#pragma once
// The scale and zero point of one block. Private to blockwise.cc and its tests.
#include <span>

#include "tensor/blockwise.h"

namespace ferry {

struct Block {
  float scale = 0;
  uint8_t zero = 0;
};

/// By the format's algorithm. The numbers are finite.
Block fit_block(std::span<const float> values, const BlockFormat& format);

}  // namespace ferry
