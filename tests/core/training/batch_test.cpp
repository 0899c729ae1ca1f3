// Batches are pure functions of (seed, step); replay; evaluation.

#include "core/training/batch.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/model/losses.h"
#include "core/training/evaluate.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_data.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using testing::tiny_model;
using testing::tiny_tokens;
using testing::tiny_windows;

bool same(const Batch& a, const Batch& b) {
  return a.inputs.equal(b.inputs) && a.targets.equal(b.targets) && a.replay.defined() == b.replay.defined() &&
         (!a.replay.defined() || a.replay.equal(b.replay));
}

TEST(ShuffledBatches, AreAPureFunctionOfTheStep) {
  const BatchSource source = shuffled_batches(tiny_windows(), 5, 4), again = shuffled_batches(tiny_windows(), 5, 4);
  const Batch third = source(3);
  source(0);
  EXPECT_TRUE(same(source(3), third));
  EXPECT_TRUE(same(again(3), third)) << "a new source";
  EXPECT_FALSE(same(source(4), third));
  EXPECT_FALSE(same(shuffled_batches(tiny_windows(), 6, 4)(3), third)) << "another seed";
}

TEST(ShuffledBatches, HoldTheWindowsAsTheyAre) {
  const PackedWindows windows = tiny_windows();
  const Batch batch = shuffled_batches(windows, 5, 4)(2);
  ASSERT_EQ(batch.inputs.sizes(), at::IntArrayRef({4, 12}));
  EXPECT_FALSE(batch.replay.defined());
  const auto indices = windows.batch_indices(5, 2, 4);
  for (std::int64_t row = 0; row < 4; ++row) {
    const Window window = windows.window(indices[row]);
    EXPECT_TRUE(batch.inputs[row].equal(at::tensor(window.inputs, at::kLong)));
    EXPECT_TRUE(batch.targets[row].equal(at::tensor(window.targets, at::kLong)));
  }
}

/// Windows in which every token is `id`.
PackedWindows constant_windows(std::uint32_t id, std::size_t tokens) {
  return {TokenData::in_memory(std::vector<std::uint32_t>(tokens, id), {0, tokens}), 12, LastWindow::drop};
}

TEST(BatchesWithReplay, ReplaceAboutTheirShareOfRowsAndSayWhich) {
  const BatchSource source =
      batches_with_replay(constant_windows(1, 500), {constant_windows(2, 1213), constant_windows(3, 3613)}, 0.3, 5, 8);
  double replayed = 0, of_second = 0;
  for (std::int64_t step = 0; step < 250; ++step) {
    const Batch batch = source(step);
    const at::Tensor first = batch.inputs.select(1, 0);
    EXPECT_TRUE(batch.replay.equal(first.ne(1)));
    EXPECT_TRUE(batch.targets.select(1, 0).equal(first)) << "inputs and targets come from the same window";
    replayed += batch.replay.sum().item<double>();
    of_second += first.eq(3).sum().item<double>();
  }
  EXPECT_NEAR(replayed / 2000, 0.3, 0.05);  // five standard deviations
  EXPECT_NEAR(of_second / replayed, 0.75, 0.09) << "all windows are equally likely";
}

TEST(BatchesWithReplay, AreAPureFunctionOfTheStep) {
  const auto make = [] { return batches_with_replay(tiny_windows(), {tiny_windows(800, 12, 2)}, 0.5, 5, 8); };
  const BatchSource source = make();
  const Batch seventh = source(7);
  source(1);
  EXPECT_TRUE(same(source(7), seventh));
  EXPECT_TRUE(same(make()(7), seventh));
  EXPECT_FALSE(same(source(8), seventh));
}

TEST(BatchesWithReplay, LeaveTheOtherRowsWhereTheyWere) {
  const Batch plain = shuffled_batches(constant_windows(1, 500), 5, 8)(3);
  const Batch none = batches_with_replay(constant_windows(1, 500), {constant_windows(2, 500)}, 0.0, 5, 8)(3);
  EXPECT_TRUE(none.inputs.equal(plain.inputs));
  EXPECT_FALSE(none.replay.any().item<bool>());
}

TEST(BatchesWithReplay, DrawOnlyFromTheMemory) {
  // 40 windows of their own first token each, and a memory of a tenth.
  std::vector<std::uint32_t> ids;
  for (std::uint32_t window = 0; window < 40; ++window) ids.insert(ids.end(), 12, 10 + window);
  ids.push_back(0);
  const auto tokens = ids.size();
  const PackedWindows others(TokenData::in_memory(std::move(ids), {0, tokens}), 12, LastWindow::drop);
  EXPECT_EQ(memory_of(others, 0.1), (std::vector<std::int64_t>{0, 10, 20, 30}));
  EXPECT_EQ(memory_of(others, 1.0).size(), 40U);
  EXPECT_EQ(memory_of(others, 1e-9), (std::vector<std::int64_t>{0})) << "at least one";
  const BatchSource source = batches_with_replay(constant_windows(1, 500), {others}, 0.5, 5, 8, 0.1);
  std::set<std::int64_t> seen;
  for (std::int64_t step = 0; step < 20; ++step) {
    const Batch batch = source(step);
    for (std::int64_t row = 0; row < 8; ++row) {
      if (batch.replay[row].item<bool>()) seen.insert(batch.inputs[row][0].item<std::int64_t>());
    }
  }
  EXPECT_EQ(seen, (std::set<std::int64_t>{10, 20, 30, 40}));
}

TEST(BatchesWithReplay, AreRefusedWithNothingToReplay) {
  testing::expect_error<Error>([] { batches_with_replay(tiny_windows(), {}, 0.5, 5, 8); }, "nothing to replay");
}

/// Mean loss and number of targets, window by window.
Evaluation naive_evaluation(const Model& model, const PackedWindows& windows, const std::vector<std::int64_t>& which) {
  Evaluation result;
  for (const std::int64_t index : which) {
    const Window window = windows.window(index);
    const at::Tensor ids = at::tensor(window.inputs, at::kLong).unsqueeze(0);
    const at::Tensor log_probs = logits_of(model, forward(model, ids).hidden)[0].to(at::kDouble).log_softmax(1);
    for (std::int64_t t = 0; t < windows.context(); ++t) {
      if (window.targets[t] == PackedWindows::kIgnore) continue;
      result.loss -= log_probs[t][window.targets[t]].item<double>();
      ++result.tokens;
    }
  }
  result.loss /= static_cast<double>(result.tokens);
  return result;
}

TEST(Evaluate, TakesTheMeanOverEveryTargetOnce) {
  const Model model = tiny_model();
  const PackedWindows windows = tiny_windows(200, 12, 3, LastWindow::pad);
  ASSERT_EQ(windows.size(), 17);
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < windows.size(); ++i) all.push_back(i);
  const Evaluation expected = naive_evaluation(model, windows, all), actual = evaluate(model, windows);
  EXPECT_EQ(actual.tokens, 199);
  EXPECT_EQ(expected.tokens, 199);
  EXPECT_NEAR(actual.loss, expected.loss, 1e-5);
  EXPECT_NEAR(actual.perplexity(), std::exp(expected.loss), 1e-3);
}

TEST(Evaluate, GivesTheSameForEveryBatchSize) {
  const Model model = tiny_model();
  const PackedWindows windows = tiny_windows(200, 12, 3, LastWindow::pad);
  EvaluateOptions options;
  options.batch_size = 3;
  EXPECT_NEAR(evaluate(model, windows, options).loss, evaluate(model, windows).loss, 1e-6);
  EXPECT_EQ(evaluate(model, windows, options).loss, evaluate(model, windows, options).loss);
}

TEST(Evaluate, SpreadsALimitEvenlyOverTheData) {
  const Model model = tiny_model();
  const PackedWindows windows = tiny_windows(241, 12, 3);
  ASSERT_EQ(windows.size(), 20);
  EvaluateOptions options;
  options.max_tokens = 5 * 12 + 3;
  const Evaluation some = evaluate(model, windows, options);
  EXPECT_EQ(some.tokens, 60);
  EXPECT_NEAR(some.loss, naive_evaluation(model, windows, {0, 4, 8, 12, 16}).loss, 1e-5);
  options.max_tokens = 1;
  EXPECT_EQ(evaluate(model, windows, options).tokens, 12) << "at least one window";
}

TEST(Evaluate, LeavesOutTargetsWithoutLoss) {
  const TokenData data = tiny_tokens(13);
  std::vector<std::uint32_t> tokens = data.tokens().all();
  for (std::size_t i = 0; i < 8; ++i) tokens[i] |= TokenData::kNoLoss;
  const PackedWindows half(TokenData::in_memory(tokens, {0, 13}), 12, LastWindow::drop);
  EXPECT_EQ(evaluate(tiny_model(), half).tokens, 5);
}

TEST(Evaluate, HasNoLossOfDataWithNothingToPredict) {
  const std::vector<std::uint32_t> tokens(13, 1U | TokenData::kNoLoss);
  const PackedWindows windows(TokenData::in_memory(tokens, {0, 13}), 12, LastWindow::drop);
  const Evaluation result = evaluate(tiny_model(), windows);
  EXPECT_EQ(result.tokens, 0);
  EXPECT_TRUE(std::isnan(result.loss));
}

TEST(Evaluate, CanBeInterruptedAndReportsItsProgress) {
  const PackedWindows windows = tiny_windows(241, 12, 3);
  EvaluateOptions options;
  std::vector<std::int64_t> seen;
  options.progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, 20);
    seen.push_back(done);
  };
  evaluate(tiny_model(), windows, options);
  EXPECT_EQ(seen, (std::vector<std::int64_t>{0, 8, 16, 20}));
  options.should_stop = [&] { return seen.size() >= 6; };
  EXPECT_THROW(evaluate(tiny_model(), windows, options), EvaluationInterrupted);
  EXPECT_EQ(seen.size(), 6U);
}

}  // namespace
}  // namespace mformer
