#include "kernels/cpu/softmax_tile.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/clones.h"

namespace mformer::kernels::cpu {
namespace {

#define MFORMER_TILE_INLINE [[gnu::always_inline]] inline

/// base^x for x ≤ 0, up to rounding; 0 where that is nothing beside 1 (and no subnormal number, which is slow). A NaN
/// stays one.
template <typename Real>
MFORMER_TILE_INLINE Real power_of_negative(Real x) {
  constexpr Real kLimit = -Exponent<Real>::kLimit;
  const Real power = Exponent<Real>::power(x < kLimit ? kLimit : x);
  return x < kLimit ? Real(0) : power;
}

MFORMER_TILE_INLINE float logarithm(float x) {
  return std::log2(x);
}
MFORMER_TILE_INLINE double logarithm(double x) {
  return std::log(x);
}

/// The rows that see a key.
struct Seen {
  int32_t first, end;
};

template <typename Real>
MFORMER_TILE_INLINE Seen seen_of(const SoftmaxTile<Real>& tile, int64_t key) {
  if (tile.key_mask != nullptr && !tile.key_mask[key]) return {0, 0};
  return {static_cast<int32_t>(tile.first_row == nullptr ? 0 : tile.first_row[key]),
          static_cast<int32_t>(tile.end_row == nullptr ? tile.columns : tile.end_row[key])};
}

/// Calls body(row, whether it sees the key) for whole vectors of rows; without comparisons where all of them do.
template <typename Real, typename Body>
MFORMER_TILE_INLINE void for_each_tile_row(const SoftmaxTile<Real>& tile, int64_t key, const Body& body) {
  const Seen seen = seen_of(tile, key);
  if (seen.first == 0 && seen.end == tile.columns) {
    for (int64_t group = 0; group < tile.columns; group += kQueryGroup) {
      for (int64_t r = group; r < group + kQueryGroup; ++r) body(r, true);
    }
    return;
  }
  for (int64_t group = 0; group < tile.columns; group += kQueryGroup) {
    for (int64_t r = group; r < group + kQueryGroup; ++r) {
      const auto row = static_cast<int32_t>(r);
      body(r, (row >= seen.first) & (row < seen.end));
    }
  }
}

template <typename Real>
MFORMER_TILE_INLINE bool weigh_any(const SoftmaxTile<Real>& tile, const RunningSoftmax<Real>& rows,
                                   Real* __restrict factor) {
  const Real scale = tile.scale * Exponent<Real>::kPerNat;
  Real largest[kTileColumns], total[kTileColumns];
  std::copy_n(rows.largest, tile.columns, largest);
  for (int64_t j = 0; j < tile.keys; ++j) {
    Real* __restrict z = tile.z + j * kTileColumns;
    for_each_tile_row(tile, j, [&](int64_t r, bool sees) {
      z[r] *= scale;
      // A NaN is passed on by the weights.
      largest[r] = sees && z[r] > largest[r] ? z[r] : largest[r];
    });
  }
  bool moved = false;
  for (int64_t r = 0; r < tile.columns; ++r) {
    factor[r] = power_of_negative(rows.largest[r] - largest[r]);
    total[r] = rows.total[r] * factor[r];
    moved |= rows.largest[r] != largest[r];
  }
  for (int64_t j = 0; j < tile.keys; ++j) {
    Real* __restrict z = tile.z + j * kTileColumns;
    for_each_tile_row(tile, j, [&](int64_t r, bool sees) {
      const Real weight = power_of_negative(z[r] - largest[r]);
      z[r] = sees ? weight : Real(0);
      total[r] += z[r];
    });
  }
  std::copy_n(largest, tile.columns, rows.largest);
  std::copy_n(total, tile.columns, rows.total);
  return moved;
}

template <typename Real>
MFORMER_TILE_INLINE void finish_any(int64_t columns, const RunningSoftmax<Real>& rows, Real* unit) {
  for (int64_t r = 0; r < columns; ++r) {
    const bool none = rows.total[r] == Real(0);
    unit[r] = none ? Real(0) : rows.largest[r] + logarithm(rows.total[r]);
    rows.total[r] = none ? Real(0) : Real(1) / rows.total[r];
  }
}

template <typename Real>
MFORMER_TILE_INLINE void gradients_any(const SoftmaxTile<Real>& tile, const Real* __restrict unit,
                                       const Real* __restrict expected, Real* __restrict dw_of_tile) {
  const Real scale = tile.scale * Exponent<Real>::kPerNat;
  for (int64_t j = 0; j < tile.keys; ++j) {
    Real* __restrict z = tile.z + j * kTileColumns;
    Real* __restrict dw = dw_of_tile + j * kTileColumns;
    for_each_tile_row(tile, j, [&](int64_t r, bool sees) {
      const Real weight = power_of_negative(z[r] * scale - unit[r]);
      z[r] = sees ? weight : Real(0);
      dw[r] = sees ? weight * (dw[r] - expected[r]) : Real(0);
    });
  }
}

}  // namespace

MFORMER_CLONES bool weigh(const SoftmaxTile<float>& tile, const RunningSoftmax<float>& rows, float* factor) {
  return weigh_any(tile, rows, factor);
}
bool weigh(const SoftmaxTile<double>& tile, const RunningSoftmax<double>& rows, double* factor) {
  return weigh_any(tile, rows, factor);
}

void finish(int64_t columns, const RunningSoftmax<float>& rows, float* unit) {
  finish_any(columns, rows, unit);
}
void finish(int64_t columns, const RunningSoftmax<double>& rows, double* unit) {
  finish_any(columns, rows, unit);
}

MFORMER_CLONES void softmax_gradients(const SoftmaxTile<float>& tile, const float* unit, const float* expected,
                                      float* dw) {
  gradients_any(tile, unit, expected, dw);
}
void softmax_gradients(const SoftmaxTile<double>& tile, const double* unit, const double* expected, double* dw) {
  gradients_any(tile, unit, expected, dw);
}

}  // namespace mformer::kernels::cpu
