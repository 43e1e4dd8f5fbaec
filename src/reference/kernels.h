#pragma once
// The loops that take the interpreter's time, compiled for several instruction sets. Raw pointers only: code
// that is compiled for a newer processor may share no function of a header with the rest.
#include <cstdint>
#include <vector>

namespace ferry::reference {

struct Matrix;

/// Functions of single numbers compute in f64 and round once. `from` and `to` may be the same.
struct Kernels {
  /// out = a * b, rows of `out` `out_stride` elements apart. No side of a or b is 0.
  void (*multiply)(const Matrix& a, const Matrix& b, float* out, int64_t out_stride);
  /// In place. Not every element is -inf.
  void (*softmax)(float* row, int64_t count);
  void (*exp)(const float* from, float* to, int64_t count);
  void (*erf)(const float* from, float* to, int64_t count);
  void (*tanh)(const float* from, float* to, int64_t count);
  /// x / 2 * (1 + erf(x / sqrt(2)))
  void (*gelu)(const float* from, float* to, int64_t count);
  /// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
  void (*gelu_tanh)(const float* from, float* to, int64_t count);
  void (*sigmoid)(const float* from, float* to, int64_t count);
  /// x * sigmoid(alpha * x)
  void (*swish)(const float* from, float* to, int64_t count, double alpha);
  /// The mean, and the mean square of the differences from it.
  void (*moments)(const float* values, int64_t count, double& mean, double& variance);
  /// (x - mean) * factor * scale + shift; scale and shift may be null.
  void (*normalize)(const float* from, float* to, int64_t count, double mean, double factor,
                    const float* scale, const float* shift);
};

/// Those for the best instruction set that this processor has.
const Kernels& kernels();
/// All that this processor runs, the best ones last.
std::vector<const Kernels*> all_kernels();

}  // namespace ferry::reference
