#pragma once

#include <cstdint>

namespace mformer::kernels::cpu {

/// One tile of the attention: `keys` keys (consecutive positions) by `rows` query rows, stored key-major, so that the
/// loop over rows is contiguous and vectorised while the stick is broken from the last key to the first.
template <typename Real>
struct StickTile {
  int64_t keys;
  int64_t rows;
  /// [keys] first row that may see the key (rows are in token order, so causality is one number a key).
  const int64_t* first_row;
  /// [keys] false = padded key; null = all real.
  const bool* key_mask;
  /// [keys, rows] in: z (scaled). Out: attention weights.
  Real* z;
  /// [rows] in and out: what is left of the stick, Π (1 − β) over the keys already seen.
  Real* rest;
};

/// Turns z into weights and moves `rest` past this tile. Returns true while any row has some of its stick left.
bool break_sticks(const StickTile<float>& tile);
bool break_sticks(const StickTile<double>& tile);

/// The same, and keeps β in `beta` [keys, rows] for the backward pass.
bool break_sticks(const StickTile<float>& tile, float* beta);
bool break_sticks(const StickTile<double>& tile, double* beta);

/// The gradient of z, for tiles visited from the first key to the last. From w_ij = β_ij Π_{j<m≤i} (1 − β_im):
///     dz_ij = (1 − β_ij) w_ij dw_ij − β_ij Σ_{m<j} w_im dw_im,
/// and the sum grows from the left, without the cancellation that a difference from the whole sum would bring.
/// weight, beta, dw [keys, rows] of the tile; dw is replaced by dz. `before` [rows], in and out: the sum over the keys
/// of earlier tiles.
void stick_gradients(std::int64_t keys, std::int64_t rows, const float* weight, const float* beta, float* dw,
                     float* before);
void stick_gradients(std::int64_t keys, std::int64_t rows, const double* weight, const double* beta, double* dw,
                     double* before);

}  // namespace mformer::kernels::cpu
