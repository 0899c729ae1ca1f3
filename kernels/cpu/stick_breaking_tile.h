#pragma once

#include <cstdint>

#include "kernels/cpu/attention_tile.h"

namespace mformer::kernels::cpu {

/// One tile of the attention: `keys` keys (consecutive positions) by up to 64 query rows, stored key-major, so that the
/// loop over rows is contiguous and vectorised while the stick is broken from the last key to the first. The rows are
/// filled up to a multiple of 16 with ones that have no stick (rest 0), so that there are whole vectors only.
template <typename Real>
struct StickTile {
  int64_t keys;
  int64_t columns;  ///< A multiple of 16.
  /// [keys] first row that sees the key (rows are in token order, so causality is one number a key); null = all do.
  const int64_t* first_row;
  /// [keys] false = padded key; null = all real.
  const bool* key_mask;
  /// What z is multiplied by before the sigmoid.
  Real scale;
  /// [keys, 64] in: z. Out: attention weights.
  Real* z;
  /// [64] in and out: what is left of the stick, Π (1 − β) over the keys already seen.
  Real* rest;
};

/// Turns z into weights and moves `rest` past this tile. Keeps β in `beta` [keys, 64], for the backward pass, unless it
/// is null. Returns true while any row has some of its stick left.
bool break_sticks(const StickTile<float>& tile, float* beta);
bool break_sticks(const StickTile<double>& tile, double* beta);

/// The gradient of z, up to its scale, for tiles visited from the first key to the last. With w_ij = β_ij R_ij, R_ij =
/// Π_{j<m≤i} (1 − β_im), and s_ij what the stick would read from the keys before j if it came to j whole,
///     dz_ij = w_ij (1 − β_ij) (dw_ij − s_ij),   s_i,j+1 = s_ij + β_ij (dw_ij − s_ij).
/// s is a mean of dw and grows from the left: there is none of the cancellation that a difference from the whole sum
/// would bring. weight, beta, dw [keys, 64] of the tile; dw is replaced by dz. `before` [64], in and out: s.
void stick_gradients(int64_t keys, int64_t columns, const float* weight, const float* beta, float* dw, float* before);
void stick_gradients(int64_t keys, int64_t columns, const double* weight, const double* beta, double* dw,
                     double* before);

}  // namespace mformer::kernels::cpu
