#pragma once

#include "kernels/cuda/block.h"

// Tiles of 64 by 64 in shared memory, and the three products of attention with them, for blocks of 256 threads. Each
// thread keeps 4 by 4 sums; the threads of a warp are 4 groups of rows by 8 of columns, so that what they read at once
// lies in different banks or is one word for many.

namespace mformer::kernels::cuda {

inline constexpr int kThreads = 256;
inline constexpr int kSide = 64;
inline constexpr int kGroups = 16;             // of rows, and of columns; 4 of each a thread
inline constexpr int kTileStride = kSide + 4;  // rows begin in different banks, and at 16 bytes

struct alignas(16) Tile {
  float x[kSide * kTileStride];

  MFORMER_HD float& at(int row, int column) { return x[row * kTileStride + column]; }
  MFORMER_HD Four& four(int row, int column) { return *reinterpret_cast<Four*>(x + row * kTileStride + column); }
  MFORMER_HD const Four& four(int row, int column) const {
    return *reinterpret_cast<const Four*>(x + row * kTileStride + column);
  }
};

struct Sums {
  float x[4][4];
};

MFORMER_HD int row_group(int thread) {
  return thread / 64 * 4 + thread % 32 / 8;
}
MFORMER_HD int column_group(int thread) {
  return thread / 32 % 2 * 8 + thread % 8;
}

MFORMER_HD void clear(Sums& sums) {
  MFORMER_UNROLL
  for (int i = 0; i < 4; ++i) {
    MFORMER_UNROLL
    for (int j = 0; j < 4; ++j) sums.x[i][j] = 0;
  }
}

/// This thread's part of reading rows [0, count) from `from`, columns [0, width): the others become 0.
template <class T>
MFORMER_HD void load(int thread, Tile& tile, const T* from, int64_t stride, int count, int width) {
  constexpr int kStep = kThreads / kSide;
  const int column = thread % kSide;
  const bool inside = column < width;
  int64_t at = thread / kSide * stride + column;
  MFORMER_UNROLL_FOUR  // not all: that many addresses leave no registers for sums
      for (int row = thread / kSide; row < kSide; row += kStep, at += kStep * stride) {
    tile.at(row, column) = inside && row < count ? to_float(from[at]) : 0.0F;
  }
}

/// sums[i][j] += Σ_d a[row i][d] · b[row j][d] over d < depth; rows of group g: g + 16 i.
MFORMER_HD void multiply_rows(int thread, const Tile& a, const Tile& b, int depth, Sums& sums) {
  const int first = row_group(thread), second = column_group(thread);
  MFORMER_UNROLL_TWICE
  for (int d = 0; d < depth; d += 4) {
    Four left[4], right[4];
    MFORMER_UNROLL
    for (int i = 0; i < 4; ++i) left[i] = a.four(first + kGroups * i, d);
    MFORMER_UNROLL
    for (int j = 0; j < 4; ++j) right[j] = b.four(second + kGroups * j, d);
    MFORMER_UNROLL
    for (int i = 0; i < 4; ++i) {
      MFORMER_UNROLL
      for (int j = 0; j < 4; ++j) {
        MFORMER_UNROLL
        for (int e = 0; e < 4; ++e) sums.x[i][j] += left[i].v[e] * right[j].v[e];
      }
    }
  }
}

/// Writes sums of multiply_rows, times `scale`.
MFORMER_HD void store_rows(int thread, const Sums& sums, float scale, Tile& tile) {
  MFORMER_UNROLL
  for (int i = 0; i < 4; ++i) {
    MFORMER_UNROLL
    for (int j = 0; j < 4; ++j) {
      tile.at(row_group(thread) + kGroups * i, column_group(thread) + kGroups * j) = sums.x[i][j] * scale;
    }
  }
}

/// sums[i][c] += Σ_j weight[row i][j] · b[j][column c]; rows of group g: g + 16 i, columns: 4 g + c.
MFORMER_HD void add_rows(int thread, const Tile& weight, const Tile& b, Sums& sums) {
  const int first = row_group(thread), column = 4 * column_group(thread);
  MFORMER_UNROLL_TWICE
  for (int j = 0; j < kSide; j += 4) {
    Four left[4], right[4];
    MFORMER_UNROLL
    for (int i = 0; i < 4; ++i) left[i] = weight.four(first + kGroups * i, j);
    MFORMER_UNROLL
    for (int e = 0; e < 4; ++e) right[e] = b.four(j + e, column);
    MFORMER_UNROLL
    for (int i = 0; i < 4; ++i) {
      MFORMER_UNROLL
      for (int c = 0; c < 4; ++c) {
        MFORMER_UNROLL
        for (int e = 0; e < 4; ++e) sums.x[i][c] += left[i].v[e] * right[e].v[c];
      }
    }
  }
}

/// sums[i][c] += Σ_r weight[r][column i] · b[r][column c]; columns of group g: 4 g + i, of both.
MFORMER_HD void add_columns(int thread, const Tile& weight, const Tile& b, Sums& sums) {
  const int first = 4 * row_group(thread), second = 4 * column_group(thread);
  MFORMER_UNROLL_TWICE
  for (int r = 0; r < kSide; ++r) {
    const Four left = weight.four(r, first), right = b.four(r, second);
    MFORMER_UNROLL
    for (int i = 0; i < 4; ++i) {
      MFORMER_UNROLL
      for (int c = 0; c < 4; ++c) sums.x[i][c] += left.v[i] * right.v[c];
    }
  }
}

}  // namespace mformer::kernels::cuda
