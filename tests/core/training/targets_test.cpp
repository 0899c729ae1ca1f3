// Losses count targets: batches with few or none, steps in several batches, and the windows that an evaluation takes.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/training/evaluate.h"
#include "modules_registry/files.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/core/training/training_process.h"
#include "tests/support/tolerance.h"

namespace mformer {
namespace {

using Process = testing::TrainingProcess;
using testing::tiny_config;
using testing::tiny_model;

/// Rows of very unequal numbers of targets, some of none, by their content alone.
void hide_most_targets(Batch& batch) {
  const at::Tensor hidden = batch.inputs.remainder(5).ne(0).logical_or(batch.inputs.narrow(1, 0, 1).remainder(3).eq(0));
  batch.targets.masked_fill_(hidden, PackedWindows::kIgnore);
}

/// Four windows a step, in `accumulate` batches.
void run_in_parts(Process& process, std::int64_t accumulate) {
  TrainOptions options = testing::short_options();
  options.accumulate = accumulate;
  options.batch_size = 4 / accumulate;
  options.adamw.epsilon = 1.0;  // so that an update is proportional to its gradient
  process.task.balance = false;
  process.task.batches = [source = shuffled_batches(testing::tiny_windows(), 9, options.batch_size)](auto number) {
    Batch batch = source(number);
    hide_most_targets(batch);
    return batch;
  };
  process.run(options);
}

TEST(Targets, AStepOfNBatchesIsAStepOfOneNTimesAsLarge) {
  Process whole({}, tiny_config());
  run_in_parts(whole, 1);
  for (const std::int64_t accumulate : {2, 4}) {
    Process parts({}, tiny_config());
    run_in_parts(parts, accumulate);
    for (std::size_t i = 0; i < whole.reports.size(); ++i) {
      EXPECT_EQ(parts.reports[i].targets, whole.reports[i].targets);
      EXPECT_EQ(std::isnan(parts.reports[i].loss), whole.reports[i].targets == 0);
      if (whole.reports[i].targets == 0) continue;
      EXPECT_NEAR(parts.reports[i].loss, whole.reports[i].loss, 1e-5 * whole.reports[i].loss) << i;
      EXPECT_NEAR(parts.reports[i].gradient_norm, whole.reports[i].gradient_norm,
                  1e-4 * whole.reports[i].gradient_norm);
    }
    const auto a = parameters(whole.model), b = parameters(parts.model);
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_LE(testing::relative_error(*b[i].tensor, *a[i].tensor), testing::kFloat32) << a[i].name;
    }
  }
}

TEST(Targets, ABatchOfAStepHasItsShareOfItAndANumberOfItsOwn) {
  Process process({}, tiny_config());
  std::vector<Batch> seen;
  process.task.extra_loss = [&](const ForwardOutput&, const Batch& batch) {
    seen.push_back(batch);
    return at::Tensor();
  };
  TrainOptions options = testing::short_options();
  options.steps = 2;
  options.accumulate = 3;
  process.run(options);
  ASSERT_EQ(seen.size(), 6U);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].number, static_cast<std::int64_t>(i));
    EXPECT_EQ(seen[i].step, static_cast<std::int64_t>(i / 3));
    EXPECT_EQ(seen[i].counted, 3 * 4 * 12);
    EXPECT_DOUBLE_EQ(seen[i].share, 1.0 / 3);
  }
}

TEST(Targets, TheBalanceLossOfAStepIsTheMeanOfItsBatches) {
  const auto balance = [](std::int64_t accumulate, std::int64_t number) {
    Process process({}, tiny_config());
    process.task.batches = [source = process.task.batches, number](std::int64_t asked) {
      return source(asked + number);
    };
    TrainOptions options = testing::short_options();
    options.steps = 1;
    options.accumulate = accumulate;
    process.run(options);
    return process.reports[0].balance;
  };
  EXPECT_NEAR(balance(2, 0), (balance(1, 0) + balance(1, 1)) / 2, 1e-6);
}

TEST(Targets, AStepWithoutAnyTargetTrainsAndIsNoPartOfTheMean) {
  const TemporaryFolder folder;
  Process process(folder.path(), tiny_config());
  process.task.batches = [source = process.task.batches](std::int64_t number) {
    Batch batch = source(number);
    if (number != 10) batch.targets.fill_(PackedWindows::kIgnore);
    return batch;
  };
  TrainOptions options = testing::short_options();
  options.steps = 20;  // of which the last two are the end
  options.snapshot_every = 0;
  const TrainResult without = process.run(options);
  EXPECT_TRUE(std::isnan(without.loss));
  EXPECT_TRUE(std::isnan(process.reports[0].loss));
  EXPECT_EQ(process.reports[0].targets, 0);
  EXPECT_FALSE(std::isnan(process.reports[10].loss));
  const std::string metrics = read_file(folder / "metrics.jsonl");
  EXPECT_TRUE(nlohmann::json::parse(metrics.substr(0, metrics.find('\n'))).at("loss").is_null());

  Process mostly({}, tiny_config());
  mostly.task.batches = [source = mostly.task.batches](std::int64_t number) {
    Batch batch = source(number);
    if (number == 19) batch.targets.fill_(PackedWindows::kIgnore);
    return batch;
  };
  const double end = mostly.run(options).loss;
  EXPECT_DOUBLE_EQ(end, mostly.reports[18].loss);
}

/// Documents of 50 tokens whose last two alone count.
TokenData long_prompts(std::uint64_t documents) {
  std::vector<std::uint32_t> ids;
  std::vector<std::uint64_t> starts = {0};
  for (std::uint64_t document = 0; document < documents; ++document) {
    for (std::uint32_t at = 0; at < 50; ++at) ids.push_back((7 * at + 3) % 60 | (at < 48 ? TokenData::kNoLoss : 0));
    starts.push_back(ids.size());
  }
  return TokenData::in_memory(std::move(ids), std::move(starts));
}

TEST(Targets, EvaluationTakesTheNextWindowsThatHaveOneWhereTheSampleHasNone) {
  const PackedWindows windows(long_prompts(20), 5, LastWindow::pad);
  EXPECT_EQ(windows.next_with_target(0), 9);
  EXPECT_FALSE(windows.has_target(8));
  EXPECT_EQ(windows.next_with_target(199), 199);
  EvaluateOptions options;
  options.max_tokens = 20;  // windows 0, 50, 100 and 150
  const Evaluation sampled = evaluate(tiny_model(), windows, options);
  EXPECT_EQ(sampled.tokens, 8);
  EXPECT_TRUE(std::isfinite(sampled.loss));
}

TEST(Targets, EvaluationKeepsItsSampleWhereThatHasATarget) {
  const PackedWindows windows(testing::tiny_tokens(500), 5, LastWindow::pad);
  EvaluateOptions options;
  options.max_tokens = 20;
  std::vector<std::int64_t> first;
  for_each_batch(windows, options, [&](const Batch& batch) {
    for (std::int64_t row = 0; row < batch.inputs.size(0); ++row) first.push_back(batch.inputs[row][0].item<int64_t>());
  });
  ASSERT_EQ(first.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(first[i], windows.window(static_cast<std::int64_t>(i) * 25).inputs[0]);
}

TEST(Targets, EvaluationOfPromptsAloneSaysThatNothingCounted) {
  const PackedWindows windows(TokenData::in_memory(std::vector<std::uint32_t>(40, 5 | TokenData::kNoLoss), {0, 40}), 5,
                              LastWindow::pad);
  EXPECT_EQ(windows.next_with_target(3), std::nullopt);
  const Evaluation nothing = evaluate(tiny_model(), windows);
  EXPECT_EQ(nothing.tokens, 0);
  EXPECT_TRUE(std::isnan(nothing.loss));
}

}  // namespace
}  // namespace mformer
