// Between element types. Floats become integers towards zero; what does not fit is the nearest number that
// does, and NaN is 0 (ONNX leaves both open). Rounding to 16 bits is left to the option round_to_declared.
#include <cmath>
#include <limits>

#include "reference/elementwise.h"

namespace ferry::reference {
namespace {

struct Limits {
  double low, high;
};

Limits limits_of(DType dtype) {
  const auto of = []<typename T>(std::type_identity<T>) {
    return Limits{static_cast<double>(std::numeric_limits<T>::min()),
                  static_cast<double>(std::numeric_limits<T>::max())};
  };
  switch (dtype) {
    case DType::i8:
      return of(std::type_identity<int8_t>());
    case DType::i16:
      return of(std::type_identity<int16_t>());
    case DType::i32:
      return of(std::type_identity<int32_t>());
    case DType::u8:
      return of(std::type_identity<uint8_t>());
    case DType::u16:
      return of(std::type_identity<uint16_t>());
    case DType::u32:
      return of(std::type_identity<uint32_t>());
    default:
      return of(std::type_identity<int64_t>());
  }
}

int64_t truncated(float value, Limits limits) {
  if (std::isnan(value)) return 0;
  const auto wide = static_cast<double>(value);
  if (wide <= limits.low) return static_cast<int64_t>(limits.low);
  // The largest i64 is no double; its neighbour above is.
  if (wide >= limits.high)
    return limits.high >= 0x1p63 ? std::numeric_limits<int64_t>::max() : static_cast<int64_t>(limits.high);
  return static_cast<int64_t>(wide);
}

Tensor to_integer(const Tensor& in, DType dtype) {
  if (in.kind() == Kind::real) {
    const Limits limits = limits_of(dtype);
    return mapped<float, int64_t>(in, [limits](float x) { return truncated(x, limits); });
  }
  if (in.kind() == Kind::boolean) return mapped<bool, int64_t>(in, [](bool x) { return int64_t{x}; });
  return mapped<int64_t, int64_t>(in, [dtype](int64_t x) { return wrapped(x, dtype); });
}

Tensor converted(const Tensor& in, DType dtype) {
  const Kind to = kind_of(dtype);
  if (to == Kind::integer) return to_integer(in, dtype);
  if (to == in.kind()) return in;
  return for_kind(in.kind(), [&]<typename T>(std::type_identity<T>) {
    if (to == Kind::boolean) return mapped<T, bool>(in, [](T x) { return x != T{}; });
    return mapped<T, float>(in, [](T x) { return static_cast<float>(x); });
  });
}

void cast(Call& call) {
  const DType to = dtype_from_onnx(static_cast<int>(call.attribute("to", int64_t{0})));
  if (to == DType::undefined || to == DType::string) call.unsupported("a Cast to that type");
  call.set(0, converted(call.input(0), to));
}

void cast_like(Call& call) {
  DType to = call.output_dtype(0);
  if (to == DType::undefined) {
    const Kind kind = call.input(1).kind();
    to = kind == Kind::real ? DType::f32 : kind == Kind::integer ? DType::i64 : DType::boolean;
  }
  call.set(0, converted(call.input(0), to));
}

constexpr Op kOps[] = {{"Cast", cast}, {"CastLike", cast_like}};

}  // namespace

std::span<const Op> cast_ops() {
  return kOps;
}

}  // namespace ferry::reference
