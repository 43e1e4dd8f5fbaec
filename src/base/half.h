#pragma once
// The 16-bit and 8-bit floating point formats of checkpoints, converted in software: no instruction set is
// assumed.
#include <bit>
#include <cstdint>

namespace ferry {

/// IEEE 754 binary16 to f32, exact.
inline float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t rest = bits & 0x7FFFu;
  if (rest >= 0x7C00u) return std::bit_cast<float>(sign | 0x7F800000u | ((rest & 0x3FFu) << 13));
  if (rest >= 0x0400u) return std::bit_cast<float>(sign | ((rest << 13) + 0x38000000u));
  const float magnitude = static_cast<float>(rest) * 0x1p-24f;  // Subnormal or zero.
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

/// f32 to IEEE 754 binary16, round to nearest even; overflow gives infinity, NaN stays NaN.
inline uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  const uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
  const uint32_t normal = (rounded - 0x38000000u) >> 13;
  // Adding 0.5 leaves the rounded mantissa in the low bits of the sum.
  const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000u;
  uint32_t out = magnitude < 0x38800000u ? subnormal : normal;
  out = magnitude >= 0x47800000u ? 0x7C00u : out;
  out = magnitude > 0x7F800000u ? (0x7E00u | ((magnitude >> 13) & 0x3FFu)) : out;
  return static_cast<uint16_t>(sign | out);
}

inline float bfloat16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// f32 to bfloat16, round to nearest even; NaN stays NaN.
inline uint16_t float_to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

/// OCP FP8 E4M3 (no infinities, NaN is 0x7F) to f32, exact.
inline float float8_e4m3fn_to_float(uint8_t bits) {
  const float sign = (bits & 0x80u) != 0 ? -1.0f : 1.0f;
  const uint32_t exponent = (bits >> 3) & 0xFu;
  const uint32_t mantissa = bits & 0x7u;
  if (exponent == 0xFu && mantissa == 0x7u) return std::bit_cast<float>(0x7FC00000u);
  if (exponent == 0) return sign * static_cast<float>(mantissa) * 0x1p-9f;
  return sign * std::bit_cast<float>(((exponent + 120u) << 23) | (mantissa << 20));
}

/// OCP FP8 E5M2 (the upper byte of a binary16) to f32, exact.
inline float float8_e5m2_to_float(uint8_t bits) {
  return half_to_float(static_cast<uint16_t>(bits << 8));
}

}  // namespace ferry
