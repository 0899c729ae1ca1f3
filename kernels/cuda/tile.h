#pragma once

#include "kernels/cuda/warp.h"

// Tiles of 64 by 64 in shared memory, and the three products of attention with them, for blocks of 256 threads, each of
// which keeps 16 sums: here of float32, by fused multiply-adds; of bfloat16, by tensor cores, in half_tile.h. The
// threads of a warp are 4 groups of rows by 8 of columns, so that what they read at once lies in different banks or is
// one word for many.

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

/// Which of a tile a sum belongs to.
struct Place {
  int row, column;
};

/// Where sums.x[i][j] of a thread lie: of multiply_rows, of add_rows and of add_columns.
template <class T>
struct Places;
template <>
struct Places<float> {
  static constexpr int depth = 4;  // in steps of which multiply_rows goes
  static MFORMER_HD Place of_rows(int thread, int i, int j) {
    return {row_group(thread) + kGroups * i, column_group(thread) + kGroups * j};
  }
  static MFORMER_HD Place of_weighted_rows(int thread, int i, int j) {
    return {row_group(thread) + kGroups * i, 4 * column_group(thread) + j};
  }
  static MFORMER_HD Place of_columns(int thread, int i, int j) {
    return {4 * row_group(thread) + i, 4 * column_group(thread) + j};
  }
};

/// This thread's part of reading rows [0, count) from `from`, columns [0, width): the others become 0.
template <class T>
MFORMER_HD void load(int thread, Tile& tile, const T* from, int64_t stride, int count, int width) {
  constexpr int kStep = kThreads / kSide;
  const int column = thread % kSide;
  const bool inside = column < width;
  int64_t at = thread / kSide * stride + column;
  MFORMER_UNROLL_FOUR  // not all: that many addresses leave no registers for
                       // sums
      for (int row = thread / kSide; row < kSide; row += kStep, at += kStep * stride) {
    tile.at(row, column) = inside && row < count ? to_float(from[at]) : 0.0F;
  }
}

/// sums[i][j] += Σ_d a[row i][d] · b[row j][d] over d < depth.
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

/// sums[i][c] += Σ_j weight[row i][j] · b[j][column c].
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

/// sums[i][c] += Σ_r weight[r][column i] · b[r][column c].
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

// The same as operations of a warp; `sums` are Local<Sums> of the block.

template <class Warp, class All>
MFORMER_HD void multiply_rows(Warp& warp, const Tile& a, const Tile& b, int depth, All& sums) {
  warp.lanes([&](int thread) { multiply_rows(thread, a, b, depth, sums[thread]); });
}
template <class Warp, class All>
MFORMER_HD void add_rows(Warp& warp, const Tile& weight, const Tile& b, All& sums) {
  warp.lanes([&](int thread) { add_rows(thread, weight, b, sums[thread]); });
}
template <class Warp, class All>
MFORMER_HD void add_columns(Warp& warp, const Tile& weight, const Tile& b, All& sums) {
  warp.lanes([&](int thread) { add_columns(thread, weight, b, sums[thread]); });
}

/// Writes sums of multiply_rows, times `scale`.
template <class T>
MFORMER_HD void store_rows(int thread, const Sums& sums, float scale, Tile& tile) {
  MFORMER_UNROLL
  for (int i = 0; i < 4; ++i) {
    MFORMER_UNROLL
    for (int j = 0; j < 4; ++j) {
      const Place at = Places<T>::of_rows(thread, i, j);
      tile.at(at.row, at.column) = sums.x[i][j] * scale;
    }
  }
}

}  // namespace mformer::kernels::cuda
