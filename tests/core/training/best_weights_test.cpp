// Validations that decide: which weights a training ends with, and when it ends; also after it was cut.

#include "core/training/best_weights.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/training/evaluate.h"
#include "tests/core/text/temporary_folder.h"
#include "tests/core/training/training_process.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

using Process = testing::TrainingProcess;
using testing::expect_error;
using testing::same_bits;
using testing::short_options;

constexpr double kNoLoss = std::numeric_limits<double>::quiet_NaN();

TrainOptions choosing(bool keep_best, std::int64_t patience, std::int64_t every = 2) {
  TrainOptions options = short_options();  // 12 steps
  options.keep_best = keep_best, options.patience = patience, options.eval_every = every;
  return options;
}

/// Validations give these losses, one after the other; `seen` gets the weights that each looked at.
void script(Process& process, std::vector<double> losses, std::vector<Model>* seen = nullptr) {
  process.hooks.validate = [&process, losses = std::move(losses), seen, next = std::size_t{0}]() mutable {
    if (seen != nullptr) seen->push_back(clone(process.model));
    return losses.at(next++);
  };
}

TEST(KeepBest, EndsWithTheWeightsOfTheLowestValidationLoss) {
  std::vector<Model> seen;
  Process process;
  script(process, {3, 1, 2}, &seen);
  const TrainResult result = process.run(choosing(true, 0, 4));
  EXPECT_EQ(result.best_step, 8);
  EXPECT_EQ(result.validation_loss, 1);
  EXPECT_EQ(result.steps, 12);
  EXPECT_TRUE(same_bits(process.model, seen[1]));
  EXPECT_FALSE(same_bits(seen[2], seen[1]));
}

TEST(KeepBest, IsNotWhatHappensUnasked) {
  Process process, plain;
  script(process, {3, 1, 2});
  const TrainResult result = process.run(choosing(false, 0, 4));
  plain.run();
  EXPECT_FALSE(result.best_step.has_value());
  EXPECT_EQ(result.validation_loss, 2);
  EXPECT_TRUE(same_bits(process.model, plain.model));
}

TEST(KeepBest, TakesTheFirstOfEqualLossesAndNoneThatIsNotFinite) {
  Process process;
  script(process, {kNoLoss, 2, 2, kNoLoss, 5, 5});
  EXPECT_EQ(process.run(choosing(true, 0)).best_step, 4);
  Process never;
  script(never, {kNoLoss, kNoLoss, kNoLoss, kNoLoss, kNoLoss, kNoLoss});
  EXPECT_FALSE(never.run(choosing(true, 0)).best_step.has_value());
}

TEST(Patience, StopsAfterSoManyValidationsThatWereNoLower) {
  std::vector<Model> seen;
  Process process;
  script(process, {3, 1, 2, 1}, &seen);
  const TrainResult result = process.run(choosing(false, 2));
  EXPECT_EQ(result.steps, 8);
  EXPECT_EQ(process.reports.size(), 8U);
  EXPECT_EQ(result.loss, process.reports.back().loss) << "the last tenth of the steps that were taken";
  EXPECT_TRUE(same_bits(process.model, seen[3])) << "without --keep-best the last weights stay";
}

TEST(Patience, BeginsAnewWithEachImprovement) {
  Process process;
  script(process, {9, 10, 8, 9, 7, 8});
  EXPECT_EQ(process.run(choosing(false, 2)).steps, 12);
}

TEST(Patience, WithKeepBestGivesTheBestOfWhatItSaw) {
  std::vector<Model> seen;
  Process process;
  script(process, {3, 1, 2, 1}, &seen);
  const TrainResult result = process.run(choosing(true, 2));
  EXPECT_EQ(result.steps, 8);
  EXPECT_EQ(result.best_step, 4);
  EXPECT_TRUE(same_bits(process.model, seen[1]));
}

TEST(Validations, ThatAreToDecideAreAskedFor) {
  Process process;
  script(process, {1});
  expect_error<UsageError>([&] { process.run(choosing(true, 0, 0)); }, "--keep-best and --patience");
  expect_error<UsageError>([&] { process.run(choosing(false, 1, 0)); }, "--keep-best and --patience");
  expect_error<UsageError>([&] { process.run(choosing(false, -1)); }, "--patience");
  process.hooks.validate = {};
  expect_error<Error>([&] { process.run(choosing(true, 0)); }, "there are none");
}

/// A loss that the weights alone decide, and that goes up and down along the steps.
void validate_by_weights(Process& process, bool cut = false) {
  process.hooks.validate = [&process, cut]() -> double {
    if (cut) throw EvaluationInterrupted("stopped");
    return std::sin(1e3 * process.model.wte.sum().item<double>());
  };
}

/// Stands for a kill: nothing is saved on the way out.
struct KilledInChoosing {};

class ChoosingCut : public ::testing::Test {
 protected:
  ChoosingCut() { validate_by_weights(whole_); }

  void expect_as_whole(const TrainOptions& options, const TrainResult& expected) {
    Process rest(folder_.path());
    validate_by_weights(rest);
    const TrainResult result = rest.run(options);
    EXPECT_GT(result.first_step, 0);
    EXPECT_EQ(result.best_step, expected.best_step);
    EXPECT_EQ(result.steps, expected.steps);
    EXPECT_EQ(result.validation_loss, expected.validation_loss);
    EXPECT_EQ(result.loss, expected.loss);
    EXPECT_TRUE(same_bits(rest.model, whole_.model));
  }

  TemporaryFolder folder_;
  Process whole_;
};

class ChoosingResumed : public ChoosingCut, public ::testing::WithParamInterface<std::int64_t> {};

TEST_P(ChoosingResumed, EndsWithTheSameBitsAsARunThatWasNeverCut) {
  const TrainOptions options = choosing(true, 3, 1);
  const TrainResult expected = whole_.run(options);
  ASSERT_LT(*expected.best_step, expected.steps);
  ASSERT_LT(expected.steps, 12);
  ASSERT_GT(expected.steps, GetParam());
  Process cut(folder_.path());
  validate_by_weights(cut);
  cut.hooks.should_stop = [&] { return static_cast<std::int64_t>(cut.reports.size()) == GetParam(); };
  EXPECT_THROW(cut.run(options), TrainingInterrupted);
  expect_as_whole(options, expected);
}

INSTANTIATE_TEST_SUITE_P(Steps, ChoosingResumed, ::testing::Values(1, 2, 3));

TEST_F(ChoosingCut, GoesOnAfterAKillAndAfterACutInAValidation) {
  const TrainOptions options = choosing(true, 0, 1);
  const TrainResult expected = whole_.run(options);
  {
    Process killed(folder_.path());
    validate_by_weights(killed);
    killed.hooks.on_step = [](const StepReport& report) {
      if (report.step == 8) throw KilledInChoosing();
    };
    EXPECT_THROW(killed.run(options), KilledInChoosing);
  }
  {
    Process cut(folder_.path());
    validate_by_weights(cut, /*cut=*/true);
    EXPECT_THROW(cut.run(options), TrainingInterrupted);
  }
  expect_as_whole(options, expected);
}

TEST(Snapshot, OfValidationsThatDecideIsRefusedByARunWhereTheyDoNot) {
  const TemporaryFolder folder;
  Process cut(folder.path()), other(folder.path());
  validate_by_weights(cut);
  cut.hooks.should_stop = [&] { return cut.reports.size() == 3; };
  EXPECT_THROW(cut.run(choosing(true, 0)), TrainingInterrupted);
  expect_error<Error>([&] { other.run(); }, "belongs to another run");
}

}  // namespace
}  // namespace mformer
