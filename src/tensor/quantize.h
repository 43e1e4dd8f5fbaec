#pragma once
// Weights as integers of 8 bits: value = scale * (integer - zero point), by the arithmetic of ONNX Runtime's
// Python quantizer, integer by integer.
// Source: onnxruntime 1.32, quantization/quant_utils.py (compute_scale_zp, quantize_nparray).
#include <cstdint>
#include <optional>
#include <vector>

#include "tensor/weight.h"

namespace ferry {

/// The least and the largest element: one pair for all, or one a channel.
struct ValueRange {
  std::vector<float> low, high;
};

/// Reads the weight once, in pieces, on all processors. `axis` is that of the channels; nothing: one range.
/// Errors: Error{invalid_file} if an element is infinite or NaN, Error{dtype_mismatch} if it is no number.
ValueRange value_range(const Weight& weight, std::optional<size_t> axis);

struct IntegerFormat {
  DType dtype = DType::i8;    ///< i8 or u8.
  bool symmetric = true;      ///< The range is made symmetric around 0.
  bool reduce_range = false;  ///< Seven bits only: sums of products then fit 16 bits on older processors.
};

/// Of a tensor or of each channel.
struct Quantization {
  std::vector<float> scale;  ///< Rounded to the weight's own dtype.
  std::vector<int64_t> zero_point;
};

/// Scale and zero point that hold [low, high] and 0. `stored` is the dtype that the scale is stored in.
Quantization choose_quantization(const ValueRange& range, const IntegerFormat& format,
                                 DType stored = DType::f32);

/// The weight's integers as a lazy weight of `dtype` (i8, u8): nothing is read before it is asked for.
Weight quantize(const Weight& weight, const Quantization& with, std::optional<size_t> axis, DType dtype);

}  // namespace ferry
