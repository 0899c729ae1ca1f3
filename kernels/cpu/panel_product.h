#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <vector>

namespace mformer::kernels::cpu {

// The innermost products. The right factor comes in *panels* of up to 64 columns, which stay in a core's cache while
// the rows pass. Every sum runs over `inner` in ascending order, whatever the number of rows: the result of a row does
// not depend on its neighbours.

/// Columns of a whole panel: four AVX-512 vectors of floats.
inline constexpr int64_t kPanelColumns = 64;

/// Where the left factor lies: element (r, i) at data[r · row + i · step]: a transpose is a swap of the two strides.
/// bfloat16 is read in pairs (i even, i + 1), which are neighbours; there `step` leads from one pair to the next.
template <typename T>
struct LeftFactor {
  const T* data;
  int64_t row, step;
};

/// Where the product goes: float32, row r at data + r · row; `add` to what is there, or overwrite it.
struct Target {
  float* data;
  int64_t row;
  bool add = false;
};

/// One implementation, for one kind of processor. columns ≤ 64, a multiple of 16 in the products.
struct PanelKernels {
  const char* name;
  bool tiles;  ///< bfloat16 is multiplied in the tiles of AMX, many times faster than anything else.

  /// c [rows, columns] (+)= a [rows, inner] · b [inner, columns]; row i of b at b + i · b_row.
  void (*float32)(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<float>& a, const float* b,
                  int64_t b_row, const Target& c);
  /// The same from bfloat16 factors, summed in float32. Element (i, column) of b is at b[i / 2 · 128 + 2 · column +
  /// i % 2]; where `inner` is odd, b has one more row of zeros, and a need not.
  void (*bfloat16)(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<c10::BFloat16>& a,
                   const c10::BFloat16* b, const Target& c);
  /// The same for float32 a and int8 b (row i at b + 64 · i), for a few rows: b is widened again for each six.
  void (*int8)(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<float>& a, const int8_t* b,
               const Target& c);

  // Panels are made by these: panel(i, c) = from[i · stride + c] for c < columns, zero for the rest of the 64.
  void (*pack)(int64_t inner, int64_t columns, const float* from, int64_t stride, float* panel);
  void (*pack_rounded)(int64_t inner, int64_t columns, const float* from, int64_t stride, c10::BFloat16* panel);
  void (*pack_bfloat16)(int64_t inner, int64_t columns, const c10::BFloat16* from, int64_t stride,
                        c10::BFloat16* panel);
  // … and of a transposed matrix: panel(i, c) = from[c · stride + i].
  void (*pack_transposed)(int64_t inner, int64_t columns, const float* from, int64_t stride, float* panel);
  void (*pack_transposed_rounded)(int64_t inner, int64_t columns, const float* from, int64_t stride,
                                  c10::BFloat16* panel);
  void (*pack_transposed_bfloat16)(int64_t inner, int64_t columns, const c10::BFloat16* from, int64_t stride,
                                   c10::BFloat16* panel);
  /// The transpose of from [inner, rows], rows ≤ 64, as left factor of the bfloat16 product. `room` is
  /// transposed_room().
  LeftFactor<c10::BFloat16> (*transposed_left)(int64_t inner, int64_t rows, const c10::BFloat16* from, int64_t stride,
                                               c10::BFloat16* room);
  LeftFactor<c10::BFloat16> (*transposed_left_rounded)(int64_t inner, int64_t rows, const float* from, int64_t stride,
                                                       c10::BFloat16* room);
  // … and of an int8 panel: whole numbers up to 127 are exact in bfloat16.
  void (*widen)(int64_t inner, const int8_t* from, float* panel);
  void (*widen_bfloat16)(int64_t inner, const int8_t* from, c10::BFloat16* panel);

  /// to[r · to_row + c] = from[r · 64 + c], rounded to bfloat16.
  void (*round)(int64_t rows, int64_t columns, const float* from, c10::BFloat16* to, int64_t to_row);
};

/// The fastest that this processor runs.
const PanelKernels& panel_kernels();

/// All that this processor runs, the fastest first: for tests. (A process may use AMX from the first call on.)
std::vector<const PanelKernels*> available_panel_kernels();

/// Values in a panel of `inner` rows.
template <typename T>
int64_t panel_size(int64_t inner) {
  return kPanelColumns * (sizeof(T) == 2 ? (inner + 1) / 2 * 2 : inner);
}

/// Values that a transposed left factor takes.
constexpr int64_t transposed_room(int64_t inner) {
  return kPanelColumns * ((inner + 31) / 32 * 32);
}

/// `columns` rounded up to what the products take.
inline int64_t whole_vectors(int64_t columns) {
  return (columns + 15) / 16 * 16;
}

}  // namespace mformer::kernels::cpu
