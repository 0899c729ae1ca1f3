#include "kernels/cpu/stick_breaking_tile.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/clones.h"

namespace mformer::kernels::cpu {
namespace {

// What is left of a stick below this is nothing: keeps subnormal numbers (slow) out and lets whole tiles be skipped.
constexpr double kNothingLeft = 1e-35;

/// From z to x with 1 / (1 + power(x)) = σ(scale · z), |x| ≤ kLimit: beyond it, β or 1 − β is nothing anyway.
template <typename Real>
struct ToExponent {
  explicit ToExponent(Real scale)
      : factor(-scale * Exponent<Real>::kPerNat), limit(Exponent<Real>::kLimit / std::abs(factor)) {}
  Real factor, limit;

  [[gnu::always_inline]] inline Real operator()(Real z) const { return std::min(std::max(z, -limit), limit) * factor; }
};

/// One key of the tile for `columns` rows. `visible(row)` is false for rows that do not see the key.
template <typename Real, typename Visible>
[[gnu::always_inline]] inline void break_at_key(int64_t columns, const ToExponent<Real>& exponent,
                                                const Visible& visible, Real* __restrict z, Real* __restrict rest,
                                                Real* __restrict beta_out) {
  for (int64_t group = 0; group < columns; group += kQueryGroup) {
    for (int64_t r = group; r < group + kQueryGroup; ++r) {
      // σ(z) and 1 − σ(z), each to full relative accuracy.
      const Real t = Exponent<Real>::power(exponent(z[r]));
      const Real inverse = Real(1) / (Real(1) + t);
      const Real beta = visible(r) ? inverse : Real(0);
      const Real pass = visible(r) ? t * inverse : Real(1);
      z[r] = beta * rest[r];
      const Real left = rest[r] * pass;
      rest[r] = left > Real(kNothingLeft) ? left : Real(0);
      if (beta_out != nullptr) beta_out[r] = beta;
    }
  }
}

template <typename Real>
[[gnu::always_inline]] inline bool any_left(const Real* rest, int64_t columns) {
  Real most = 0;
  for (int64_t r = 0; r < columns; ++r) most = std::max(most, rest[r]);
  return most > Real(0);
}

template <typename Real, bool keep_beta>
[[gnu::always_inline]] inline bool break_tile(const StickTile<Real>& tile, Real* beta_out) {
  const ToExponent<Real> exponent(tile.scale);
  for (int64_t j = tile.keys - 1; j >= 0; --j) {
    Real* z = tile.z + j * kTileColumns;
    Real* beta = keep_beta ? beta_out + j * kTileColumns : nullptr;
    const bool real_key = tile.key_mask == nullptr || tile.key_mask[j];
    const auto first = static_cast<int32_t>(tile.first_row == nullptr ? 0 : tile.first_row[j]);
    if (!real_key) {
      std::fill(z, z + tile.columns, Real(0));
      if (keep_beta) std::fill(beta, beta + tile.columns, Real(0));
    } else if (first == 0) {
      break_at_key(
          tile.columns, exponent, [](int64_t) { return true; }, z, tile.rest, beta);
    } else {
      break_at_key(
          tile.columns, exponent, [first](int64_t r) { return static_cast<int32_t>(r) >= first; }, z, tile.rest, beta);
    }
  }
  return any_left(tile.rest, tile.columns);
}

template <typename Real>
[[gnu::always_inline]] inline bool break_any_tile(const StickTile<Real>& tile, Real* beta) {
  return beta == nullptr ? break_tile<Real, false>(tile, nullptr) : break_tile<Real, true>(tile, beta);
}

template <typename Real>
[[gnu::always_inline]] inline void gradients(int64_t keys, int64_t columns, const Real* __restrict weight,
                                             const Real* __restrict beta, Real* __restrict dw,
                                             Real* __restrict before) {
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t group = 0; group < columns; group += kQueryGroup) {
      const int64_t first = j * kTileColumns + group;
      for (int64_t r = 0; r < kQueryGroup; ++r) {
        const Real b = beta[first + r], w = weight[first + r], s = before[group + r];
        const Real above = dw[first + r] - s;
        dw[first + r] = (w - w * b) * above;
        before[group + r] = s + b * above;
      }
    }
  }
}

}  // namespace

MFORMER_CLONES bool break_sticks(const StickTile<float>& tile, float* beta) {
  return break_any_tile(tile, beta);
}
MFORMER_CLONES void stick_gradients(int64_t keys, int64_t columns, const float* weight, const float* beta, float* dw,
                                    float* before) {
  gradients(keys, columns, weight, beta, dw, before);
}
bool break_sticks(const StickTile<double>& tile, double* beta) {
  return break_any_tile(tile, beta);
}
void stick_gradients(int64_t keys, int64_t columns, const double* weight, const double* beta, double* dw,
                     double* before) {
  gradients(keys, columns, weight, beta, dw, before);
}

}  // namespace mformer::kernels::cpu
