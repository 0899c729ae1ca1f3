#include "core/text/packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "modules_registry/error.h"

namespace mformer {
namespace {

using ::testing::ElementsAre;

TokenData counting(uint32_t tokens) {
  std::vector<uint32_t> ids(tokens);
  std::iota(ids.begin(), ids.end(), 10U);
  return TokenData::in_memory(std::move(ids), {0, tokens});
}

TEST(PackedWindowsTest, TargetsAreTheNextTokensAndNeighboursShareOne) {
  const PackedWindows windows(counting(7), 3, LastWindow::drop);
  ASSERT_EQ(windows.size(), 2);
  EXPECT_THAT(windows.window(0).inputs, ElementsAre(10, 11, 12));
  EXPECT_THAT(windows.window(0).targets, ElementsAre(11, 12, 13));
  EXPECT_THAT(windows.window(1).inputs, ElementsAre(13, 14, 15));
  EXPECT_THAT(windows.window(1).targets, ElementsAre(14, 15, 16));
}

TEST(PackedWindowsTest, TrainingDropsThePartialWindowAndEvaluationPadsIt) {
  EXPECT_EQ(PackedWindows(counting(9), 3, LastWindow::drop).size(), 2);
  const PackedWindows padded(counting(9), 3, LastWindow::pad);
  ASSERT_EQ(padded.size(), 3);
  EXPECT_THAT(padded.window(2).inputs, ElementsAre(16, 17, 0));
  EXPECT_THAT(padded.window(2).targets, ElementsAre(17, 18, -100));
}

TEST(PackedWindowsTest, EvaluationCountsEveryTokenButTheFirstOnce) {
  for (uint32_t tokens = 2; tokens < 40; ++tokens) {
    const PackedWindows windows(counting(tokens), 5, LastWindow::pad);
    std::multiset<int64_t> targets;
    for (int64_t at = 0; at < windows.size(); ++at) {
      for (const int64_t target : windows.window(at).targets) {
        if (target != PackedWindows::kIgnore) targets.insert(target);
      }
    }
    ASSERT_EQ(targets.size(), tokens - 1);
    ASSERT_EQ(std::set<int64_t>(targets.begin(), targets.end()).size(), tokens - 1);
  }
}

TEST(PackedWindowsTest, PromptTokensAreInputsButNoTargets) {
  const uint32_t no_loss = TokenData::kNoLoss;
  const PackedWindows windows(TokenData::in_memory({5 | no_loss, 6 | no_loss, 7, 0}, {0, 4}), 3, LastWindow::drop);
  EXPECT_THAT(windows.window(0).inputs, ElementsAre(5, 6, 7));
  EXPECT_THAT(windows.window(0).targets, ElementsAre(-100, 7, 0));
}

TEST(PackedWindowsTest, EveryEpochVisitsEveryWindowOnceInAnOrderOfItsOwn) {
  for (const uint32_t count : {1U, 2U, 3U, 7U, 64U, 1000U}) {
    const PackedWindows windows(counting(count + 1), 1, LastWindow::drop);
    std::set<std::vector<int64_t>> orders;
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<int64_t> order;
      for (int64_t at = 0; at < windows.size(); ++at) order.push_back(windows.shuffled(17, epoch, at));
      orders.insert(order);
      std::ranges::sort(order);
      for (int64_t at = 0; at < windows.size(); ++at) ASSERT_EQ(order[static_cast<size_t>(at)], at);
    }
    if (count >= 7) {
      EXPECT_EQ(orders.size(), 3U);
    }
  }
}

TEST(PackedWindowsTest, TheOrderIsWellMixed) {
  const PackedWindows windows(counting(10'001), 1, LastWindow::drop);
  // A window's neighbours in the order are far away in the text: 3333 on average for a random order.
  double distance = 0;
  for (int64_t at = 0; at + 1 < windows.size(); ++at) {
    distance += std::abs(static_cast<double>(windows.shuffled(1, 0, at) - windows.shuffled(1, 0, at + 1)));
  }
  EXPECT_NEAR(distance / 9999, 3333, 150);
}

TEST(PackedWindowsTest, BatchesRunOnIntoTheNextEpochAndDependOnSeedAndStepOnly) {
  const PackedWindows windows(counting(11), 1, LastWindow::drop);
  std::map<int64_t, int> visits;
  for (int64_t step = 0; step < 10; ++step) {
    for (const int64_t index : windows.batch_indices(3, step, 4)) ++visits[index];
  }
  ASSERT_EQ(visits.size(), 10U);
  for (const auto& [index, times] : visits) EXPECT_EQ(times, 4);
  EXPECT_EQ(windows.batch_indices(3, 7, 4), windows.batch_indices(3, 7, 4));
  EXPECT_NE(windows.batch_indices(3, 7, 4), windows.batch_indices(4, 7, 4));
  EXPECT_NE(windows.batch_indices(3, 0, 4), windows.batch_indices(3, 1, 4));
}

TEST(PackedWindowsTest, TextShorterThanOneContextCanOnlyBeEvaluated) {
  EXPECT_THROW(PackedWindows(counting(8), 8, LastWindow::drop), Error);
  EXPECT_EQ(PackedWindows(counting(9), 8, LastWindow::drop).size(), 1);
  EXPECT_EQ(PackedWindows(counting(8), 8, LastWindow::pad).size(), 1);
  EXPECT_THROW(PackedWindows(counting(1), 8, LastWindow::pad), Error);
  EXPECT_THROW(PackedWindows(TokenData::in_memory({}, {0}), 8, LastWindow::pad), Error);
  EXPECT_THROW(PackedWindows(counting(8), 0, LastWindow::pad), UsageError);
}

TEST(PackedWindowsTest, IndicesOutOfRangeAreErrors) {
  const PackedWindows windows(counting(9), 4, LastWindow::drop);
  EXPECT_THROW(windows.window(-1), Error);
  EXPECT_THROW(windows.window(2), Error);
  EXPECT_THROW(windows.batch_indices(1, -1, 4), UsageError);
  EXPECT_THROW(windows.batch_indices(1, 0, 0), UsageError);
}

}  // namespace
}  // namespace mformer
