#pragma once
// Tensors in ONNX Runtime's hands: results can be fed back without copying.
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "ort/runtime.h"
#include "tensor/host_tensor.h"

struct OrtValue;

namespace ferry::ort {

/// A tensor of ONNX Runtime. Move-only; nothing is copied unless a function says so.
///
/// Lifetime  One made by view() looks at the caller's memory, which must outlive it and every Binding it is
///           bound in. The others own theirs (memory that a Binding shares stays as long as either needs it).
/// Threads   Distinct tensors are independent; one tensor may be read from several threads.
class OrtTensor {
 public:
  OrtTensor() = default;
  /// Looks at the bytes of `tensor`. Strings are copied.
  static OrtTensor view(const Runtime& runtime, const HostTensor& tensor);
  /// Looks at `bytes`, which ONNX Runtime may write if the tensor is bound as an output.
  /// Errors: Error{shape_mismatch} if dtype and dims ask for another number of bytes.
  static OrtTensor view(const Runtime& runtime, DType dtype, Dims dims, std::span<std::byte> bytes);
  /// A tensor of its own, its elements not set. Errors: Error{dtype_mismatch} for strings.
  static OrtTensor allocate(const Runtime& runtime, DType dtype, Dims dims);
  /// Takes over a handle of the C API.
  static OrtTensor adopt(const Runtime& runtime, OrtValue* value);

  [[nodiscard]] explicit operator bool() const { return value_ != nullptr; }
  [[nodiscard]] DType dtype() const { return dtype_; }
  [[nodiscard]] const Dims& dims() const { return dims_; }
  /// The elements, on the CPU. Errors: Error{dtype_mismatch} for strings.
  [[nodiscard]] std::span<const std::byte> bytes() const;
  [[nodiscard]] std::span<std::byte> mutable_bytes();
  /// Errors: Error{dtype_mismatch} unless holds<T>(dtype()).
  template <typename T>
  [[nodiscard]] std::span<const T> as() const {
    require_holds(holds<T>(dtype_));
    const auto all = bytes();
    return {reinterpret_cast<const T*>(all.data()), all.size() / sizeof(T)};
  }
  /// A copy.
  [[nodiscard]] HostTensor to_host() const;

  [[nodiscard]] OrtValue* handle() const { return value_.get(); }

 private:
  struct Release {
    std::shared_ptr<Runtime::Impl> runtime;  // The library must outlive its values.
    void operator()(OrtValue* value) const;
  };
  void require_holds(bool condition) const;

  std::unique_ptr<OrtValue, Release> value_;
  DType dtype_ = DType::undefined;
  Dims dims_;
};

}  // namespace ferry::ort
