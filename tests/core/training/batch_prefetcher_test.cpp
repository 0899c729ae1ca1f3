// Batches made ahead: the same batches, on another thread, with their errors.

#include "core/training/batch_prefetcher.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/core/training/training_process.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

using namespace std::chrono_literals;
using testing::expect_error;
using testing::tiny_windows;

/// A batch that only says for which step it is.
Batch numbered(std::int64_t step) {
  return {at::full({1, 1}, step, at::kLong), {}, {}};
}

std::int64_t number_of(const Batch& batch) {
  return batch.inputs.item<std::int64_t>();
}

TEST(BatchPrefetcher, HandsOutTheBatchesOfItsSourceInOrder) {
  const BatchSource source = shuffled_batches(tiny_windows(), 5, 4);
  BatchPrefetcher batches(source, 3, 20);
  for (std::int64_t step = 3; step < 20; ++step) {
    const Batch batch = batches.next(), expected = source(step);
    EXPECT_TRUE(batch.inputs.equal(expected.inputs) && batch.targets.equal(expected.targets)) << step;
    EXPECT_EQ(batch.lengths, expected.lengths);
  }
  expect_error<Error>([&] { batches.next(); }, "no batch after step 20");
}

TEST(BatchPrefetcher, MakesTheNextBatchOnAnotherThreadBeforeItIsAskedFor) {
  std::promise<std::thread::id> second;
  BatchPrefetcher batches(
      [&](std::int64_t step) {
        if (step == 1) second.set_value(std::this_thread::get_id());
        return numbered(step);
      },
      0, 3);
  std::future<std::thread::id> made = second.get_future();
  EXPECT_EQ(number_of(batches.next()), 0);
  ASSERT_EQ(made.wait_for(60s), std::future_status::ready);
  EXPECT_NE(made.get(), std::this_thread::get_id());
  EXPECT_EQ(number_of(batches.next()), 1);
}

TEST(BatchPrefetcher, AsksItsSourceForNoStepBeyondTheLast) {
  std::vector<std::int64_t> asked;
  {
    BatchPrefetcher batches(
        [&](std::int64_t step) {
          asked.push_back(step);
          return numbered(step);
        },
        4, 6);
    batches.next();
    batches.next();
  }
  EXPECT_THAT(asked, ::testing::ElementsAre(4, 5));
  const BatchPrefetcher none([&](std::int64_t step) { return asked.push_back(step), numbered(step); }, 6, 6);
  EXPECT_EQ(asked.size(), 2U);
}

TEST(BatchPrefetcher, ThrowsWhatTheSourceThrewAtThatVeryStep) {
  BatchPrefetcher batches(
      [](std::int64_t step) {
        if (step == 1) throw Error("the disk is gone");
        return numbered(step);
      },
      0, 3);
  EXPECT_EQ(number_of(batches.next()), 0);
  expect_error<Error>([&] { batches.next(); }, "the disk is gone");
}

TEST(BatchPrefetcher, WaitsForTheSourceWhenItIsDroppedHalfWay) {
  std::promise<void> entered, released;
  std::atomic<bool> finished = false;
  std::jthread helper;
  {
    BatchPrefetcher batches(
        [&](std::int64_t step) {
          if (step == 0) return numbered(step);
          entered.set_value();
          released.get_future().wait();
          finished = true;
          return numbered(step);
        },
        0, 3);
    batches.next();
    entered.get_future().wait();
    helper = std::jthread([&] { released.set_value(); });
  }
  EXPECT_TRUE(finished);
}

TEST(Train, PassesOnWhatItsBatchesThrow) {
  testing::TrainingProcess process;
  process.task.batches = [source = process.task.batches](std::int64_t step) {
    if (step == 3) throw Error("the disk is gone");
    return source(step);
  };
  expect_error<Error>([&] { process.run(); }, "the disk is gone");
  EXPECT_EQ(process.reports.size(), 3U) << "the steps before it are taken";
}

}  // namespace
}  // namespace mformer
