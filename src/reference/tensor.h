#pragma once
// The interpreter's values: three kinds of elements, shared storage.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "tensor/host_tensor.h"

namespace ferry::reference {

/// Every floating dtype is held as float, every integer as int64_t, booleans as bool.
enum class Kind : uint8_t { real, integer, boolean };

template <typename T>
constexpr Kind kind_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, int64_t> || std::is_same_v<T, bool>);
  return std::is_same_v<T, float> ? Kind::real : std::is_same_v<T, int64_t> ? Kind::integer : Kind::boolean;
}

/// A row-major tensor. Copies share the elements, which are written once, by whoever made them.
class Tensor {
 public:
  Tensor() = default;
  /// Elements not set. Errors: Error{shape_mismatch} for a negative dimension, Error{runtime} if memory does
  /// not hold so many.
  template <typename T>
  static Tensor make(Dims dims) {
    auto storage = allocate(checked_count(dims, sizeof(T)) * sizeof(T));
    require_memory(storage != nullptr, dims);
    return Tensor(kind_of<T>(), std::move(dims), std::move(storage));
  }
  template <typename T>
  static Tensor of(Dims dims, const std::vector<T>& values) {
    Tensor out = make<T>(std::move(dims));
    auto to = out.edit<T>();
    for (size_t i = 0; i < values.size() && i < to.size(); ++i) to[i] = values[i];
    return out;
  }
  template <typename T>
  static Tensor scalar(T value) {
    return of<T>({}, {value});
  }
  /// f32 elements that somebody else keeps alive for the whole run.
  static Tensor borrowed(Dims dims, const float* data) {
    return Tensor(Kind::real, std::move(dims), std::shared_ptr<const void>(std::shared_ptr<void>(), data));
  }
  static Tensor from_host(const HostTensor& host);
  /// Reads the whole weight, or looks at it where it lies if it is f32, row-major and aligned.
  static Tensor from_weight(const Weight& weight);

  [[nodiscard]] explicit operator bool() const { return data_ != nullptr; }
  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] const Dims& dims() const { return dims_; }
  [[nodiscard]] size_t rank() const { return dims_.size(); }
  [[nodiscard]] int64_t dim(size_t axis) const { return dims_.at(axis); }
  [[nodiscard]] size_t count() const { return static_cast<size_t>(element_count(dims_)); }

  /// Errors: Error{dtype_mismatch} if the elements are of another kind.
  template <typename T>
  [[nodiscard]] std::span<const T> get() const {
    require_kind(kind_of<T>());
    return {static_cast<const T*>(data_.get()), count()};
  }
  /// For the maker, before anybody else has a copy.
  template <typename T>
  [[nodiscard]] std::span<T> edit() {
    require_kind(kind_of<T>());
    return {static_cast<T*>(const_cast<void*>(data_.get())), count()};
  }
  /// The same elements under other dims of the same count.
  [[nodiscard]] Tensor with_dims(Dims dims) const;

  /// The elements as `dtype`: floats only as f32, integers wrapped to the width.
  [[nodiscard]] HostTensor to_host(DType dtype) const;

 private:
  Tensor(Kind kind, Dims dims, std::shared_ptr<const void> data)
      : kind_(kind), dims_(std::move(dims)), data_(std::move(data)) {}
  static std::shared_ptr<const void> allocate(size_t bytes);  ///< Null if there is no memory.
  static size_t checked_count(const Dims& dims, size_t element_bytes);
  static void require_memory(bool condition, const Dims& dims);
  void require_kind(Kind wanted) const;

  Kind kind_ = Kind::real;
  Dims dims_;
  std::shared_ptr<const void> data_;
};

/// Calls body(std::type_identity<T>()) with the element type of `kind`.
template <typename Body>
decltype(auto) for_kind(Kind kind, Body&& body) {
  switch (kind) {
    case Kind::integer:
      return body(std::type_identity<int64_t>());
    case Kind::boolean:
      return body(std::type_identity<bool>());
    default:
      return body(std::type_identity<float>());
  }
}

Kind kind_of(DType dtype);
/// `value` as a variable of the integer type would hold it (two's complement); boolean gives 0 or 1.
int64_t wrapped(int64_t value, DType dtype);

}  // namespace ferry::reference
