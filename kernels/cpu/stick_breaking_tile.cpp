#include "kernels/cpu/stick_breaking_tile.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mformer::kernels::cpu {
namespace {

// What is left of a stick below this is nothing: keeps subnormal numbers (slow) out and lets whole tiles be skipped.
constexpr double kNothingLeft = 1e-35;

/// exp(x) for x ≤ 0, about 1 ulp: 2^n · p(r) with |r| ≤ ln2/2. Branch-free, so that GCC vectorises it.
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

[[gnu::always_inline]] inline double exp_of_negative(double x) {
  return std::exp(x);
}

/// σ(z) and 1 − σ(z), each to full relative accuracy: only exp of a negative number is taken.
template <typename Real>
[[gnu::always_inline]] inline void sigmoid_pair(Real z, Real& beta, Real& one_minus_beta) {
  const Real e = exp_of_negative(-std::abs(z));
  const Real inverse = Real(1) / (Real(1) + e);
  const Real small = e * inverse;
  beta = z >= Real(0) ? inverse : small;
  one_minus_beta = z >= Real(0) ? small : inverse;
}

template <typename Real>
[[gnu::always_inline]] inline bool any_left(const Real* rest, int64_t rows) {
  Real most = 0;
  for (int64_t r = 0; r < rows; ++r) most = std::max(most, rest[r]);
  return most > Real(0);
}

/// `beta` may be null.
template <typename Real>
[[gnu::always_inline]] inline bool break_tile(const StickTile<Real>& tile, Real* beta_out) {
  Real* __restrict rest = tile.rest;
  for (int64_t j = tile.keys - 1; j >= 0; --j) {
    Real* __restrict z = tile.z + j * tile.rows;
    const bool real_key = tile.key_mask == nullptr || tile.key_mask[j];
    const int64_t first = real_key ? std::min(tile.first_row[j], tile.rows) : tile.rows;
    std::fill(z, z + first, Real(0));
    Real* __restrict beta_row = beta_out == nullptr ? nullptr : beta_out + j * tile.rows;
    if (beta_row != nullptr) std::fill(beta_row, beta_row + first, Real(0));
    for (int64_t r = first; r < tile.rows; ++r) {
      Real beta, one_minus_beta;
      sigmoid_pair(z[r], beta, one_minus_beta);
      z[r] = beta * rest[r];
      const Real left = rest[r] * one_minus_beta;
      rest[r] = left > Real(kNothingLeft) ? left : Real(0);
      if (beta_row != nullptr) beta_row[r] = beta;
    }
  }
  return any_left(rest, tile.rows);
}

template <typename Real>
[[gnu::always_inline]] inline void gradients(int64_t keys, int64_t rows, const Real* __restrict weight,
                                             const Real* __restrict beta, Real* __restrict dw,
                                             Real* __restrict before) {
  for (int64_t j = 0; j < keys; ++j) {
    const int64_t row = j * rows;
    for (int64_t r = 0; r < rows; ++r) {
      const Real share = weight[row + r] * dw[row + r];
      const Real b = beta[row + r];
      dw[row + r] = (Real(1) - b) * share - b * before[r];
      before[r] += share;
    }
  }
}

}  // namespace

// One binary for every x86-64: the loader picks the widest vectors the processor has.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define MFORMER_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MFORMER_CLONES
#endif

MFORMER_CLONES bool break_sticks(const StickTile<float>& tile) {
  return break_tile<float>(tile, nullptr);
}
MFORMER_CLONES bool break_sticks(const StickTile<float>& tile, float* beta) {
  return break_tile(tile, beta);
}
MFORMER_CLONES void stick_gradients(int64_t keys, int64_t rows, const float* weight, const float* beta, float* dw,
                                    float* before) {
  gradients(keys, rows, weight, beta, dw, before);
}
bool break_sticks(const StickTile<double>& tile) {
  return break_tile<double>(tile, nullptr);
}
bool break_sticks(const StickTile<double>& tile, double* beta) {
  return break_tile(tile, beta);
}
void stick_gradients(int64_t keys, int64_t rows, const double* weight, const double* beta, double* dw, double* before) {
  gradients(keys, rows, weight, beta, dw, before);
}

}  // namespace mformer::kernels::cpu
