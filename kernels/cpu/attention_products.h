#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/panel_product.h"

// The products of one tile of the attention, for each dtype: factors of float32, float64 or bfloat16 in panels
// (panel_product.h), sums in float32, or float64 for float64.

namespace mformer::kernels::cpu {

/// Factor: what tensors of dtype T are multiplied as; Sum: what is summed and what weights are computed in.
template <typename T>
struct Arithmetic {
  using Factor = T;
  using Sum = T;
};
template <>
struct Arithmetic<c10::BFloat16> {
  using Factor = c10::BFloat16;
  using Sum = float;
};
template <>
struct Arithmetic<c10::Half> {
  using Factor = float;
  using Sum = float;
};

/// Rows of a matrix in memory, neighbours within a row.
template <typename T>
struct Rows {
  const T* data;
  int64_t stride;
};

/// Where a product is written: row r at data + r · row.
template <typename Sum>
struct Sums {
  Sum* data;
  int64_t row;
  bool add;
};

template <typename Factor>
struct Products;

template <>
struct Products<float> {
  static LeftFactor<float> left(Rows<float> a) { return {a.data, a.stride, 1}; }
  static void multiply(int64_t rows, int64_t inner, int64_t columns, LeftFactor<float> a, const float* panel,
                       Sums<float> c) {
    panel_kernels().float32(rows, inner, columns, a, panel, kPanelColumns, {c.data, c.row, c.add});
  }
  static void pack(int64_t inner, int64_t columns, Rows<float> from, float* panel) {
    panel_kernels().pack(inner, columns, from.data, from.stride, panel);
  }
  static void pack_transposed(int64_t inner, int64_t columns, Rows<float> from, float* panel) {
    panel_kernels().pack_transposed(inner, columns, from.data, from.stride, panel);
  }
  /// A tile [keys, 64] as left factor, and its transpose; `room` for a copy of it, if one is needed.
  static LeftFactor<float> tile(int64_t /*keys*/, int64_t /*columns*/, const float* tile, float* /*room*/) {
    return {tile, kTileColumns, 1};
  }
  static LeftFactor<float> tile_transposed(int64_t /*keys*/, int64_t /*columns*/, const float* tile, float* /*room*/) {
    return {tile, 1, kTileColumns};
  }
};

template <>
struct Products<c10::BFloat16> {
  using T = c10::BFloat16;
  static LeftFactor<T> left(Rows<T> a) { return {a.data, a.stride, 2}; }
  static void multiply(int64_t rows, int64_t inner, int64_t columns, LeftFactor<T> a, const T* panel, Sums<float> c) {
    panel_kernels().bfloat16(rows, inner, columns, a, panel, {c.data, c.row, c.add});
  }
  static void pack(int64_t inner, int64_t columns, Rows<T> from, T* panel) {
    panel_kernels().pack_bfloat16(inner, columns, from.data, from.stride, panel);
  }
  static void pack_transposed(int64_t inner, int64_t columns, Rows<T> from, T* panel) {
    panel_kernels().pack_transposed_bfloat16(inner, columns, from.data, from.stride, panel);
  }
  static LeftFactor<T> tile(int64_t keys, int64_t columns, const float* tile, T* room) {
    panel_kernels().round(keys, columns, tile, room, kTileColumns);
    return {room, kTileColumns, 2};
  }
  static LeftFactor<T> tile_transposed(int64_t keys, int64_t columns, const float* tile, T* room) {
    return panel_kernels().transposed_left_rounded(keys, columns, tile, kTileColumns, room);
  }
};

/// Plain loops: float64 is for tests.
template <>
struct Products<double> {
  static LeftFactor<double> left(Rows<double> a) { return {a.data, a.stride, 1}; }
  static void multiply(int64_t rows, int64_t inner, int64_t columns, LeftFactor<double> a, const double* panel,
                       Sums<double> c) {
    for (int64_t r = 0; r < rows; ++r) {
      double* sum = c.data + r * c.row;
      if (!c.add) std::fill_n(sum, columns, 0.0);
      for (int64_t i = 0; i < inner; ++i) {
        const double factor = a.data[r * a.row + i * a.step];
        for (int64_t column = 0; column < columns; ++column) sum[column] += factor * panel[i * kPanelColumns + column];
      }
    }
  }
  static void pack(int64_t inner, int64_t columns, Rows<double> from, double* panel) {
    for (int64_t i = 0; i < inner; ++i) {
      std::copy_n(from.data + i * from.stride, columns, panel + i * kPanelColumns);
      std::fill_n(panel + i * kPanelColumns + columns, kPanelColumns - columns, 0.0);
    }
  }
  static void pack_transposed(int64_t inner, int64_t columns, Rows<double> from, double* panel) {
    for (int64_t i = 0; i < inner; ++i) {
      for (int64_t column = 0; column < kPanelColumns; ++column) {
        panel[i * kPanelColumns + column] = column < columns ? from.data[column * from.stride + i] : 0.0;
      }
    }
  }
  static LeftFactor<double> tile(int64_t /*keys*/, int64_t /*columns*/, const double* tile, double* /*room*/) {
    return {tile, kTileColumns, 1};
  }
  static LeftFactor<double> tile_transposed(int64_t /*keys*/, int64_t /*columns*/, const double* tile,
                                            double* /*room*/) {
    return {tile, 1, kTileColumns};
  }
};

/// The panels of a right factor of any number of columns, one after another.
template <typename Factor>
void pack_panels(int64_t inner, int64_t columns, Rows<Factor> from, Factor* panels) {
  for (int64_t c = 0; c < columns; c += kPanelColumns) {
    Products<Factor>::pack(inner, std::min(kPanelColumns, columns - c), {from.data + c, from.stride},
                           panels + c / kPanelColumns * panel_size<Factor>(inner));
  }
}

/// c [rows, columns] (+)= a [rows, inner] · panels [inner, columns]; c's rows have room for whole vectors.
template <typename Factor, typename Sum>
void multiply_panels(int64_t rows, int64_t inner, int64_t columns, const LeftFactor<Factor>& a, const Factor* panels,
                     const Sums<Sum>& to) {
  for (int64_t c = 0; c < columns; c += kPanelColumns) {
    Products<Factor>::multiply(rows, inner, whole_vectors(std::min(kPanelColumns, columns - c)), a,
                               panels + c / kPanelColumns * panel_size<Factor>(inner),
                               Sums<Sum>{to.data + c, to.row, to.add});
  }
}

/// Values in all panels of [inner, columns].
template <typename Factor>
int64_t panels_size(int64_t inner, int64_t columns) {
  return (columns + kPanelColumns - 1) / kPanelColumns * panel_size<Factor>(inner);
}

}  // namespace mformer::kernels::cpu
