#include "tensor/convert.h"

#include <fmt/format.h>

#include <cstring>

#include "base/error.h"
#include "base/half.h"

namespace ferry {
namespace {

template <typename From, typename To, typename Convert>
void convert_each(const std::byte* in, uint64_t count, To* out, Convert convert) {
  for (uint64_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, in + i * sizeof(From), sizeof(From));
    out[i] = convert(value);
  }
}

template <typename From, typename To>
void convert_plain(const std::byte* in, uint64_t count, To* out) {
  convert_each<From>(in, count, out, [](From value) { return static_cast<To>(value); });
}

// Two a byte, the low half first.
void unpack_nibbles(std::span<const std::byte> in, bool is_signed, std::vector<int64_t>& out) {
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t half = (std::to_integer<int64_t>(in[i / 2]) >> (i % 2 * 4)) & 15;
    out[i] = is_signed && half >= 8 ? half - 16 : half;
  }
}

#if defined(__x86_64__)
// Half floats by eights, with the instruction that nearly every processor has. The same bits as
// float_to_half(). Returns how many it made.
__attribute__((target("avx,f16c"))) size_t make_halves(const float* in, size_t count, std::byte* out) {
  using Floats = float __attribute__((vector_size(32)));
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    Floats floats;
    std::memcpy(&floats, in + i, sizeof floats);
    const auto halves = __builtin_ia32_vcvtps2ph256(floats, 0);  // 0: to nearest even.
    std::memcpy(out + i * sizeof(uint16_t), &halves, sizeof halves);
  }
  return i;
}
#endif

size_t halves_at_once(std::span<const float> in, std::byte* out) {
#if defined(__x86_64__)
  // Every processor with AVX2 has F16C, which clang 14 has no name for here.
  static const bool able = __builtin_cpu_supports("avx2");
  if (able) return make_halves(in.data(), in.size(), out);
#endif
  static_cast<void>(in);
  static_cast<void>(out);
  return 0;
}

[[noreturn]] void refuse(DType dtype, const char* what) {
  throw Error(ErrorCode::dtype_mismatch,
              fmt::format("elements of type {} cannot be {}", to_string(dtype), what));
}

}  // namespace

bool can_read_as_float(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::f64:
    case DType::f16:
    case DType::bf16:
    case DType::f8_e4m3fn:
    case DType::f8_e5m2:
    case DType::i8:
    case DType::i16:
    case DType::i32:
    case DType::i64:
    case DType::u8:
    case DType::u16:
    case DType::u32:
    case DType::u64:
    case DType::boolean:
      return true;
    default:
      return false;
  }
}

void to_floats(const std::byte* in, DType dtype, uint64_t count, float* out) {
  switch (dtype) {
    case DType::f32:
      if (count > 0) std::memcpy(out, in, count * sizeof(float));
      return;
    case DType::f64:
      return convert_plain<double>(in, count, out);
    case DType::f16:
      return convert_each<uint16_t>(in, count, out, half_to_float);
    case DType::bf16:
      return convert_each<uint16_t>(in, count, out, bfloat16_to_float);
    case DType::f8_e4m3fn:
      return convert_each<uint8_t>(in, count, out, float8_e4m3fn_to_float);
    case DType::f8_e5m2:
      return convert_each<uint8_t>(in, count, out, float8_e5m2_to_float);
    case DType::i8:
      return convert_plain<int8_t>(in, count, out);
    case DType::i16:
      return convert_plain<int16_t>(in, count, out);
    case DType::i32:
      return convert_plain<int32_t>(in, count, out);
    case DType::i64:
      return convert_plain<int64_t>(in, count, out);
    case DType::boolean:
    case DType::u8:
      return convert_plain<uint8_t>(in, count, out);
    case DType::u16:
      return convert_plain<uint16_t>(in, count, out);
    case DType::u32:
      return convert_plain<uint32_t>(in, count, out);
    case DType::u64:
      return convert_plain<uint64_t>(in, count, out);
    default:
      refuse(dtype, "read as numbers");
  }
}

void from_floats(std::span<const float> in, DType dtype, std::byte* out) {
  const auto put = [&](auto convert) {
    for (size_t i = 0; i < in.size(); ++i) {
      const auto value = convert(in[i]);
      std::memcpy(out + i * sizeof value, &value, sizeof value);
    }
  };
  switch (dtype) {
    case DType::f32:
      if (!in.empty()) std::memcpy(out, in.data(), in.size_bytes());
      return;
    case DType::f64:
      return put([](float value) { return static_cast<double>(value); });
    case DType::f16:
      for (size_t i = halves_at_once(in, out); i < in.size(); ++i) {
        const uint16_t half = float_to_half(in[i]);
        std::memcpy(out + i * sizeof half, &half, sizeof half);
      }
      return;
    case DType::bf16:
      return put(float_to_bfloat16);
    default:
      refuse(dtype, "made from floats");
  }
}

std::vector<int64_t> to_integers(std::span<const std::byte> in, DType dtype, uint64_t count) {
  std::vector<int64_t> out(count);
  switch (dtype) {
    case DType::i4:
    case DType::u4:
      unpack_nibbles(in, dtype == DType::i4, out);
      break;
    case DType::i8:
      convert_plain<int8_t>(in.data(), count, out.data());
      break;
    case DType::i16:
      convert_plain<int16_t>(in.data(), count, out.data());
      break;
    case DType::i32:
      convert_plain<int32_t>(in.data(), count, out.data());
      break;
    case DType::i64:
      convert_plain<int64_t>(in.data(), count, out.data());
      break;
    case DType::boolean:
    case DType::u8:
      convert_plain<uint8_t>(in.data(), count, out.data());
      break;
    case DType::u16:
      convert_plain<uint16_t>(in.data(), count, out.data());
      break;
    case DType::u32:
      convert_plain<uint32_t>(in.data(), count, out.data());
      break;
    case DType::u64:
      convert_plain<uint64_t>(in.data(), count, out.data());
      break;
    default:
      refuse(dtype, "read as integers");
  }
  return out;
}

}  // namespace ferry
