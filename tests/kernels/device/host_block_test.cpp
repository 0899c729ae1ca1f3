// The executor that stands for a GPU's block: what it must show.

#include "kernels/cuda/host_block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mformer::kernels::cuda {
namespace {

constexpr int kCount = 64;
using TestBlock = HostBlock<kCount>;

std::vector<int64_t> sequence(Order order, uint64_t seed, int64_t count) {
  std::vector<int64_t> numbers;
  Sequence(order, seed).put(count, numbers);
  return numbers;
}

TEST(SequenceOfThreads, HasEachOnceAndIsDrawnBySeed) {
  std::vector<int64_t> all(100);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sequence(Order::ascending, 1, 100), all);
  const std::vector<int64_t> drawn = sequence(Order::shuffled, 1, 100);
  EXPECT_NE(drawn, all);
  EXPECT_EQ(drawn, sequence(Order::shuffled, 1, 100));
  EXPECT_NE(drawn, sequence(Order::shuffled, 2, 100));
  EXPECT_TRUE(std::is_permutation(drawn.begin(), drawn.end(), all.begin()));
  std::reverse(all.begin(), all.end());
  EXPECT_EQ(sequence(Order::descending, 1, 100), all);
  EXPECT_TRUE(sequence(Order::shuffled, 1, 0).empty());
}

/// A block that lacks a barrier: the first and the last thread write what one in between reads.
int read_between(Order order, uint64_t seed) {
  TestBlock block({}, Sequence(order, seed));
  int flag = 0, read = 0;
  block.each([&](int thread) {
    if (thread == 0 || thread == kCount - 1) flag = 1;
    if (thread == kCount / 2) read = flag;
  });
  return read;
}

TEST(HostBlockOrders, ThatAreDrawnShowARaceWhichBothWaysRoundHide) {
  EXPECT_EQ(read_between(Order::ascending, 0), 1);
  EXPECT_EQ(read_between(Order::descending, 0), 1);
  bool seen = false;
  for (uint64_t seed = 1; seed <= 20; ++seed) seen = seen || read_between(Order::shuffled, seed) == 0;
  EXPECT_TRUE(seen);
}

TEST(HostBlockCopies, AreNoNumbersUntilTheirThreadHasWaited) {
  TestBlock block({}, Sequence(Order::ascending, 0));
  alignas(16) float from[4 * kCount], to[4 * kCount];
  std::iota(from, from + 4 * kCount, 0.0F);
  block.each([&](int thread) { block.copy_sixteen(thread, to + 4 * thread, from + 4 * thread, thread % 2 == 0); });
  for (const float x : to) EXPECT_TRUE(std::isnan(x));
  block.each([&](int thread) {
    if (thread < kCount / 2) block.wait_for_copies(thread);
  });
  for (int i = 0; i < 4 * kCount; ++i) {
    const int thread = i / 4;
    if (thread >= kCount / 2) {
      EXPECT_TRUE(std::isnan(to[i])) << i;
    } else {
      EXPECT_EQ(to[i], thread % 2 == 0 ? from[i] : 0.0F) << i;
    }
  }
}

TEST(HostBlockWarps, HaveTheirLanesStepTogether) {
  TestBlock block({}, Sequence(Order::shuffled, 3));
  int arrived[kCount / kLanes] = {};
  block.each_warp([&](auto& warp) {
    warp.lanes([&](int thread) { ++arrived[thread / kLanes]; });
    warp.lanes([&](int thread) { EXPECT_EQ(arrived[thread / kLanes], kLanes); });
  });
}

BFloat16 half(float x) {
  BFloat16 result{};
  assign(result, x);
  return result;
}

/// Places that the PTX ISA shows in the figures of mma.m16n8k16 and ldmatrix.
TEST(HostBlockWarps, KeepFragmentsWhereThePtxManualDrawsThem) {
  const std::vector<int64_t> order = sequence(Order::ascending, 0, kLanes);
  const HostWarp warp(0, order);
  BFloat16 rows[32][8];
  for (int r = 0; r < 32; ++r) {
    for (int c = 0; c < 8; ++c)
      rows[r][c] = half(static_cast<float>(8 * (r % 8) + c) + 64.0F * static_cast<float>(r / 8));
  }
  HostWarp::Local<Words> words;
  const auto number = [&](int lane, int word, int e) {
    return to_float(BFloat16{static_cast<uint16_t>(words[lane].x[word] >> (16 * e))});
  };
  const auto load = [&](auto transposed) {
    warp.load_matrices<transposed>([&](int lane) -> const BFloat16* { return rows[lane]; },
                                   [&](int lane) { return words[lane].x; });
  };
  load(std::false_type{});
  EXPECT_EQ(number(5, 0, 0), 10);        // matrix 0, row 1, column 2
  EXPECT_EQ(number(5, 2, 1), 128 + 11);  // matrix 2, row 1, column 3
  EXPECT_EQ(number(31, 3, 1), 192 + 63);
  load(std::true_type{});
  EXPECT_EQ(number(5, 0, 0), 17);  // row 2, column 1
  EXPECT_EQ(number(5, 1, 1), 64 + 25);
}

TEST(HostBlockWarps, MultiplyOneElementByOneWhereThePtxManualDrawsThem) {
  const std::vector<int64_t> order = sequence(Order::ascending, 0, kLanes);
  const HostWarp warp(0, order);
  HostWarp::Local<Words> a, b;
  float sums[kLanes][4] = {};
  for (int lane = 0; lane < kLanes; ++lane) a[lane] = b[lane] = {};
  a[7].x[3] = static_cast<uint32_t>(half(3).bits) << 16U;   // a7 of lane 7: row 1 + 8, column 3 · 2 + 8 + 1 = 15
  b[23].x[1] = static_cast<uint32_t>(half(5).bits) << 16U;  // b3 of lane 23: row 3 · 2 + 8 + 1 = 15, column 5
  warp.multiply_add([&](int lane) { return sums[lane]; }, [&](int lane) { return a[lane].x; },
                    [&](int lane) { return b[lane].x; });
  for (int lane = 0; lane < kLanes; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const bool there = lane == 6 && i == 3;  // row 9, column 5: group 1, pair 2, the lower row, the second
      EXPECT_EQ(sums[lane][i], there ? 15.0F : 0.0F) << lane << ' ' << i;
    }
  }
}

}  // namespace
}  // namespace mformer::kernels::cuda
