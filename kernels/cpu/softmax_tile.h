#pragma once

#include <cstdint>

#include "kernels/cpu/attention_tile.h"

namespace mformer::kernels::cpu {

/// One tile of softmax attention (attention_tile.h), its rows filled up to a multiple of 16. Scores count in powers of
/// a base that is cheap to take: 2 for float32, e for float64.
template <typename Real>
struct SoftmaxTile {
  int64_t keys;
  int64_t columns;  ///< A multiple of 16.
  /// [keys] rows first_row … end_row − 1 see the key; null = no row is too early, or too far.
  const int64_t *first_row, *end_row;
  /// [keys] false = padded key; null = all real.
  const bool* key_mask;
  /// What z is multiplied by.
  Real scale;
  /// [keys, 64] in: z. Out: weights.
  Real* z;
};

/// What rows know of the tiles so far, [64] each.
template <typename Real>
struct RunningSoftmax {
  Real* largest;  ///< Score; a number below all scores at first.
  Real* total;    ///< Σ of weights, relative to the largest score.
};
inline constexpr double kBelowAllScores = -1e38;

/// Turns z into weights relative to the largest score up to this tile; what was summed before must be multiplied by
/// `factor` [64] (a new largest score). False where all factors are 1.
bool weigh(const SoftmaxTile<float>& tile, const RunningSoftmax<float>& rows, float* factor);
bool weigh(const SoftmaxTile<double>& tile, const RunningSoftmax<double>& rows, double* factor);

/// [columns] of the rows: the score at which a weight would be 1, which the backward pass needs; 0 for rows that saw no
/// key. `total` becomes its reciprocal, 0 for such rows.
void finish(int64_t columns, const RunningSoftmax<float>& rows, float* unit);
void finish(int64_t columns, const RunningSoftmax<double>& rows, double* unit);

/// For the backward pass: z becomes weights w, and dw [keys, 64], the gradients of the weights, those of the scores up
/// to `scale`: dz_ij = w_ij (dw_ij − expected_i), expected_i = Σ_j w_ij dw_ij [64].
void softmax_gradients(const SoftmaxTile<float>& tile, const float* unit, const float* expected, float* dw);
void softmax_gradients(const SoftmaxTile<double>& tile, const double* unit, const double* expected, double* dw);

}  // namespace mformer::kernels::cpu
