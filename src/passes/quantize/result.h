#pragma once
// What a quantization did to the nodes of a graph.
#include <cstdint>
#include <string>
#include <vector>

namespace ferry::passes {

struct QuantizedNode {
  std::string name, op_type;
  std::string weight;  ///< Empty if it has none.
  uint64_t bytes_before = 0, bytes_after = 0;
};
struct KeptNode {
  std::string name, op_type, why;
};
struct QuantizationResult {
  std::vector<QuantizedNode> quantized;
  std::vector<KeptNode> kept;  ///< Of the operators asked for, those that stay in floating point.
};

}  // namespace ferry::passes
