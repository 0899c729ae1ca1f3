#pragma once

#include "kernels/cuda/tile.h"

// Tiles of 64 by 64 bfloat16 in shared memory, and the three products of attention with them by tensor cores, summed in
// float32. A warp has 16 rows by 32 columns of the sums: 4 pieces of 16 by 8, of each of which a lane keeps 4 (warp.h).

namespace mformer::kernels::cuda {

inline constexpr int kHalfStride = kSide + 8;  // 144 bytes: 8 rows of a matrix lie in 8 different groups of 4 banks

struct alignas(16) HalfTile {
  BFloat16 x[kSide * kHalfStride];

  MFORMER_HD BFloat16* at(int row, int column) { return x + row * kHalfStride + column; }
  MFORMER_HD const BFloat16* at(int row, int column) const { return x + row * kHalfStride + column; }
};

inline constexpr int kWarpRows = 16, kWarpColumns = 32;

MFORMER_HD int first_row_of_warp(int thread) {
  return thread / (2 * kLanes) * kWarpRows;
}
MFORMER_HD int first_column_of_warp(int thread) {
  return thread / kLanes % 2 * kWarpColumns;
}

template <>
struct Places<BFloat16> {
  static constexpr int depth = 16;
  static MFORMER_HD Place of_rows(int thread, int i, int j) {
    return {first_row_of_warp(thread) + thread % kLanes / 4 + j / 2 * 8,
            first_column_of_warp(thread) + 8 * i + thread % 4 * 2 + j % 2};
  }
  static MFORMER_HD Place of_weighted_rows(int thread, int i, int j) { return of_rows(thread, i, j); }
  static MFORMER_HD Place of_columns(int thread, int i, int j) { return of_rows(thread, i, j); }
};

/// sums += left · right over `depth` (whole sixteens): left(row, d) lies at [row][d] of its tile, or at [d][row] if
/// kLeftByDepth; right(d, column) at [column][d], or at [d][column] if kRightByDepth.
template <bool kLeftByDepth, bool kRightByDepth, class Warp, class All>
MFORMER_HD void multiply_halves(Warp& warp, const HalfTile& left, const HalfTile& right, int depth, All& sums) {
  MFORMER_UNROLL_TWICE
  for (int d = 0; d < depth; d += 16) {
    typename Warp::template Local<Words> a, b[2];
    warp.template load_matrices<kLeftByDepth>(
        [&](int thread) {
          const int first = first_row_of_warp(thread), r = thread % 8, low = thread / 8 % 2 * 8,
                    high = thread / 16 % 2 * 8;
          return kLeftByDepth ? left.at(d + high + r, first + low) : left.at(first + low + r, d + high);
        },
        [&](int thread) { return a[thread].x; });
    MFORMER_UNROLL
    for (int pair = 0; pair < 2; ++pair) {
      warp.template load_matrices<kRightByDepth>(
          [&](int thread) {
            const int first = first_column_of_warp(thread) + 16 * pair;
            const int r = thread % 8, low = thread / 8 % 2 * 8, high = thread / 16 % 2 * 8;
            return kRightByDepth ? right.at(d + low + r, first + high) : right.at(first + high + r, d + low);
          },
          [&](int thread) { return b[pair][thread].x; });
    }
    MFORMER_UNROLL
    for (int i = 0; i < 4; ++i) {
      warp.multiply_add([&](int thread) { return sums[thread].x[i]; }, [&](int thread) { return a[thread].x; },
                        [&](int thread) { return b[i / 2][thread].x + i % 2 * 2; });
    }
  }
}

// As of float32 tiles.

template <class Warp, class All>
MFORMER_HD void multiply_rows(Warp& warp, const HalfTile& a, const HalfTile& b, int depth, All& sums) {
  multiply_halves<false, false>(warp, a, b, depth, sums);
}
template <class Warp, class All>
MFORMER_HD void add_rows(Warp& warp, const HalfTile& weight, const HalfTile& b, All& sums) {
  multiply_halves<false, true>(warp, weight, b, kSide, sums);
}
template <class Warp, class All>
MFORMER_HD void add_columns(Warp& warp, const HalfTile& weight, const HalfTile& b, All& sums) {
  multiply_halves<true, true>(warp, weight, b, kSide, sums);
}

/// This thread's part of reading rows [0, count) from `from`, columns [0, width): the others become 0. `whole`: rows
/// begin at 16 bytes, and `width` is whole eights; then the copies are there when the thread has waited for them.
template <class Block>
MFORMER_HD void load(Block& block, int thread, HalfTile& tile, const BFloat16* from, int64_t stride, int count,
                     int width, bool whole) {
  constexpr int kEight = 8, kUnits = kSide / kEight, kStep = kThreads / kUnits;
  if (whole) {
    const int column = thread % kUnits * kEight;
    MFORMER_UNROLL
    for (int turn = 0; turn < kSide / kStep; ++turn) {  // so many for every thread, which a compiler must see
      const int row = thread / kUnits + turn * kStep;
      const bool real = row < count && column < width;
      block.copy_sixteen(thread, tile.at(row, column), real ? from + row * stride + column : from, real);
    }
    return;
  }
  const int column = thread % kSide;
  MFORMER_UNROLL_FOUR
  for (int turn = 0; turn < kSide * kSide / kThreads; ++turn) {
    const int row = thread / kSide + turn * (kThreads / kSide);
    assign(*tile.at(row, column), row < count && column < width ? to_float(from[row * stride + column]) : 0.0F);
  }
}
template <class Block>
MFORMER_HD void load(Block&, int thread, Tile& tile, const float* from, int64_t stride, int count, int width, bool) {
  load(thread, tile, from, stride, count, width);
}

template <class T>
struct TileFor;
template <>
struct TileFor<float> {
  using type = Tile;
};
template <>
struct TileFor<BFloat16> {
  using type = HalfTile;
};
/// Of what is multiplied where storage is T.
template <class T>
using TileOf = typename TileFor<T>::type;

}  // namespace mformer::kernels::cuda
