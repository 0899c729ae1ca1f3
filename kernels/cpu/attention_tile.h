#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

// What the loops over the tiles of both kinds of attention share. A tile is `keys` keys (consecutive positions) by up
// to 64 query rows, stored key-major, so that the loop over rows is contiguous and vectorised.

namespace mformer::kernels::cpu {

/// Floats of one row of a tile in memory: room for this many query rows.
inline constexpr int64_t kTileColumns = 64;

/// An inner loop of this many rows is one vector of the widest kind, without a rest.
inline constexpr int64_t kQueryGroup = 16;

template <typename Real>
struct Exponent;

/// 2^x for |x| ≤ 125, about 1 ulp: 2^n · p(x − n) with |x − n| ≤ 1/2. Branch-free, so that GCC vectorises it.
template <>
struct Exponent<float> {
  static constexpr float kPerNat = 1.44269504088896341F;  // powers of the base in e
  static constexpr float kLimit = 125;                    // 2^±125 and their reciprocals are normal numbers

  [[gnu::always_inline]] static inline float power(float x) {
    constexpr float kRounder = 12582912.0F;  // 1.5 · 2^23: adding it leaves the nearest integer in the lowest bits
    const float rounded = x + kRounder;
    const float r = x - (rounded - kRounder);
    float p = 1.535336188319500e-4F;
    p = p * r + 1.339887440266574e-3F;
    p = p * r + 9.618437357674640e-3F;
    p = p * r + 5.550332471162809e-2F;
    p = p * r + 2.402264791363012e-1F;
    p = p * r + 6.931472028550421e-1F;
    p = p * r + 1.0F;
    uint32_t n, bits;
    std::memcpy(&n, &rounded, sizeof n);
    std::memcpy(&bits, &p, sizeof bits);
    bits += n << 23U;
    std::memcpy(&p, &bits, sizeof p);
    return p;
  }
};

template <>
struct Exponent<double> {
  static constexpr double kPerNat = 1;
  static constexpr double kLimit = 700;
  static double power(double x) { return std::exp(x); }
};

}  // namespace mformer::kernels::cpu
