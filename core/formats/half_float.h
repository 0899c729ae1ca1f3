#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace mformer {

/// The value of IEEE half-precision bits, exactly.
inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1FU, fraction = half & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: fraction · 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
  }
  const std::uint32_t wide = exponent == 0x1F ? 0xFFU : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

/// The nearest half-precision number, of two as near the even one; beyond the range infinity.
inline std::uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000U, magnitude = bits & 0x7FFF'FFFFU;
  if (magnitude > 0x7F80'0000U) return static_cast<std::uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x4780'0000U) return static_cast<std::uint16_t>(sign | 0x7C00U);
  // Adding this power of two rounds away the bits that half precision lacks, and leaves those that it has at the end.
  const std::uint32_t exponent = std::max(magnitude & 0x7F80'0000U, 0x3880'0000U);
  const float ruler = std::bit_cast<float>(exponent + (13U << 23));
  const float rounded = std::bit_cast<float>(magnitude) + ruler;
  const std::uint32_t steps = std::bit_cast<std::uint32_t>(rounded) - std::bit_cast<std::uint32_t>(ruler);
  const std::uint32_t base = (exponent - 0x3880'0000U) >> 13;
  return static_cast<std::uint16_t>(sign | (base + steps));
}

/// The value of bfloat16 bits.
inline float bfloat16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// The nearest bfloat16, of two as near the even one.
inline std::uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFF'FFFFU) > 0x7F80'0000U) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

}  // namespace mformer
