#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

// For loops that GCC vectorises: branch-free, inlined into functions compiled for several processors.
namespace mformer::kernels::cpu {

/// exp(x) for x ≤ 0, about 1 ulp: 2^n · p(r) with |r| ≤ ln 2 / 2; below −87, where float32 runs out, exp(−87).
[[gnu::always_inline]] inline float exp_of_negative(float x) {
  x = std::max(x, -87.0F);
  const float n = std::nearbyint(x * 1.44269504088896341F);
  float r = x - n * 0.693359375F;
  r -= n * -2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const int32_t bits = (static_cast<int32_t>(n) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

/// The bits of x rounded to the nearest bfloat16, ties to even; a NaN stays one.
[[gnu::always_inline]] inline uint16_t rounded_to_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  const uint32_t nearest = bits + 0x7fffU + ((bits >> 16U) & 1U);
  return static_cast<uint16_t>((x == x ? nearest : 0x7fc00000U) >> 16U);
}

}  // namespace mformer::kernels::cpu
