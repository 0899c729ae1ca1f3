// The three products of tiles by tensor cores, in loops on the host, against plain loops.

#include "kernels/cuda/half_tile.h"

#include <gtest/gtest.h>

#include <random>

#include "kernels/cuda/host_block.h"

namespace mformer::kernels::cuda {
namespace {

using TileBlock = HostBlock<kThreads>;

/// Small whole numbers: every product and sum is exact.
void fill(HalfTile& tile, unsigned seed) {
  std::mt19937 generator(seed);
  for (BFloat16& x : tile.x) x = {0xffff};
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column) {
      assign(*tile.at(row, column), static_cast<float>(static_cast<int>(generator() % 17) - 8));
    }
  }
}

float number(const HalfTile& tile, int row, int column) {
  return to_float(*tile.at(row, column));
}

class HalfTiles : public ::testing::Test {
 protected:
  HalfTiles() {
    fill(a_, 1);
    fill(b_, 2);
  }

  /// Every sum of the block by `multiply`, each in its place once.
  template <class Multiply, class At, class Expected>
  void expect(const Multiply& multiply, const At& at, const Expected& expected) {
    TileBlock block({}, Sequence(Order::shuffled, 5));
    TileBlock::Local<Sums> sums;
    block.each([&](int thread) { clear(sums[thread]); });
    block.each_warp([&](auto& warp) { multiply(warp, sums); });
    int seen[kSide][kSide] = {};
    for (int thread = 0; thread < kThreads; ++thread) {
      for (int i = 0; i < 4; ++i) {
        for (int j = 0; j < 4; ++j) {
          const Place place = at(thread, i, j);
          ++seen[place.row][place.column];
          ASSERT_EQ(sums[thread].x[i][j], expected(place.row, place.column)) << place.row << ' ' << place.column;
        }
      }
    }
    for (const auto& row : seen) {
      for (const int count : row) EXPECT_EQ(count, 1);
    }
  }

  template <class F>
  static float sum(int count, const F& f) {
    float result = 0;
    for (int i = 0; i < count; ++i) result += f(i);
    return result;
  }

  HalfTile a_, b_;
};

TEST_F(HalfTiles, MultiplyRowsByRows) {
  for (const int depth : {16, 48, 64}) {
    expect([&](auto& warp, auto& sums) { multiply_rows(warp, a_, b_, depth, sums); }, Places<BFloat16>::of_rows,
           [&](int row, int column) {
             return sum(depth, [&](int d) { return number(a_, row, d) * number(b_, column, d); });
           });
  }
}

TEST_F(HalfTiles, AddRowsByTheirWeights) {
  expect([&](auto& warp, auto& sums) { add_rows(warp, a_, b_, sums); }, Places<BFloat16>::of_weighted_rows,
         [&](int row, int column) {
           return sum(kSide, [&](int j) { return number(a_, row, j) * number(b_, j, column); });
         });
}

TEST_F(HalfTiles, AddColumnsByTheirWeights) {
  expect([&](auto& warp, auto& sums) { add_columns(warp, a_, b_, sums); }, Places<BFloat16>::of_columns,
         [&](int row, int column) {
           return sum(kSide, [&](int r) { return number(a_, r, row) * number(b_, r, column); });
         });
}

TEST_F(HalfTiles, ReadEightRowsOfAMatrixFromAsManyGroupsOfBanks) {
  for (int row = 1; row < 8; ++row) {
    const auto bytes = reinterpret_cast<const char*>(a_.at(row, 0)) - reinterpret_cast<const char*>(a_.at(0, 0));
    EXPECT_EQ(bytes % 16, 0);
    for (int other = 0; other < row; ++other) EXPECT_NE(bytes / 16 % 8, other * kHalfStride / 8 % 8) << row;
  }
}

}  // namespace
}  // namespace mformer::kernels::cuda
