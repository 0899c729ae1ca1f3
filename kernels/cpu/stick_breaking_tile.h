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

/// The backward step: as break_sticks, and replaces `dw` [keys, rows] (gradient of the weights) by the gradient of z.
/// `pending` [rows]: Σ over keys not yet visited of weight · dweight; starts as the row's dot product of output and
/// output gradient. From w_ij = β_ij Π (1 − β_im):  dz_ij = (1 − β_ij) w_ij dw_ij − β_ij Σ_{m<j} w_im dw_im.
bool break_sticks_backward(const StickTile<float>& tile, float* dw, float* pending);
bool break_sticks_backward(const StickTile<double>& tile, double* dw, double* pending);

}  // namespace mformer::kernels::cpu
