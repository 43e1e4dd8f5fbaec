#pragma once
// Arithmetic that the operators on integers of few bits share.
#include <cmath>
#include <vector>

#include "reference/call.h"

namespace ferry::reference {

/// Scales and zero points of a tensor: one for all elements, one a place along an axis, or one a block of
/// places.
class Grid {
 public:
  /// From the inputs at places `scale` and `zero_point` of the node, for a tensor of `dims`.
  Grid(Call& call, const Dims& dims, size_t scale, size_t zero_point, int64_t axis = 1, int64_t block = 0);

  [[nodiscard]] float scale(size_t element) const { return scales_[place(element)]; }
  [[nodiscard]] int64_t zero_point(size_t element) const {
    return zeros_.empty() ? 0 : zeros_[place(element)];
  }

 private:
  [[nodiscard]] size_t place(size_t element) const;

  std::vector<float> scales_;
  std::vector<int64_t> zeros_;
  size_t length_ = 1, inner_ = 1, block_ = 0, blocks_ = 0;
};

/// The nearest integer (ties to even) plus the zero point, held within `dtype`.
int64_t quantized(float value_by_scale, int64_t zero_point, DType dtype);
/// Elements times scales, in f32.
Tensor dequantized(Call& call, const Tensor& in, const Grid& grid);
/// The reverse.
Tensor quantized(Call& call, const Tensor& in, const Grid& grid, DType dtype);

/// What DynamicQuantizeLinear decides for a tensor: u8 elements that cover its range and 0.
struct DynamicRange {
  float scale = 1;
  int64_t zero_point = 0;
};
DynamicRange dynamic_range(const Tensor& in);

}  // namespace ferry::reference
