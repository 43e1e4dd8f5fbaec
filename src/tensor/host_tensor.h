#pragma once
// A tensor that owns its bytes: what goes into a model and comes out of it.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/weight.h"

namespace ferry {

/// Whether elements of `dtype` may be looked at as T: float is f32, bool and uint8_t are boolean, uint16_t
/// is u16, f16 and bf16, uint8_t is u8 and the 8-bit floats, the rest are the types of their names.
template <typename T>
bool holds(DType dtype);

/// Row-major elements in `bytes`, or in `strings` for DType::string. The members are plain: whoever changes
/// `dims` keeps the sizes in step (see check()).
struct HostTensor {
  DType dtype = DType::undefined;
  Dims dims;
  std::vector<std::byte> bytes;
  std::vector<std::string> strings;

  // Factories. Errors: Error{shape_mismatch} if the number of values is not that of `dims`.
  static HostTensor zeros(DType dtype, Dims dims);
  static HostTensor f32(Dims dims, const std::vector<float>& values);
  static HostTensor i64(Dims dims, const std::vector<int64_t>& values);
  static HostTensor i32(Dims dims, const std::vector<int32_t>& values);
  static HostTensor boolean(Dims dims, const std::vector<bool>& values);
  static HostTensor text(Dims dims, std::vector<std::string> values);
  static HostTensor scalar(float value) { return f32({}, {value}); }
  static HostTensor scalar(int64_t value) { return i64({}, {value}); }
  /// Every byte of the weight, in its own dtype. For small ones.
  static HostTensor from_weight(const Weight& weight);

  /// Number of elements.
  [[nodiscard]] size_t count() const { return static_cast<size_t>(element_count(dims)); }

  /// The elements. The view lives as long as `bytes` is left alone.
  /// Errors: Error{dtype_mismatch} unless holds<T>(dtype).
  template <typename T>
  [[nodiscard]] std::span<const T> as() const {
    require_holds(holds<T>(dtype));
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  template <typename T>
  [[nodiscard]] std::span<T> as() {
    require_holds(holds<T>(dtype));
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }

  /// The same numbers as f32. Errors: Error{dtype_mismatch} for strings and types without numbers.
  [[nodiscard]] HostTensor to_f32() const;
  /// The same numbers as i64. Errors: Error{dtype_mismatch} for other types than integers and booleans.
  [[nodiscard]] HostTensor to_i64() const;
  /// Floats rounded to f16, bf16 or f64; integers and booleans to f32. Errors: Error{dtype_mismatch}.
  [[nodiscard]] HostTensor to_floating(DType to) const;
  /// The same elements under other dims. Errors: Error{shape_mismatch} if their number differs.
  [[nodiscard]] HostTensor reshaped(Dims to) const;

  /// Errors: Error{shape_mismatch} if a dimension is negative or the bytes are not what dtype and dims ask
  /// for.
  void check() const;
  /// "f32[2, 3]"
  [[nodiscard]] std::string describe() const;

 private:
  void require_holds(bool condition) const;
};

}  // namespace ferry
