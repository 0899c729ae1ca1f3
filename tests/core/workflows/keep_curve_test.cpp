// Loss against the share of modules kept.

#include "core/workflows/keep_curve.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/workflows/prune.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::TinyWorkspace;

class KeepCurveTest : public ::testing::Test {
 protected:
  void SetUp() override { workspace_.add_task("german", workspace_.corpus("german")); }
  static KeepCurveCommand command() {
    KeepCurveCommand command;
    command.task = "german";
    command.fractions = {1.0, 0.5, 0.3};
    command.criteria = {Criterion::frequency, Criterion::random};
    command.max_tokens = 200;
    command.stat_tokens = 300;
    return command;
  }
  KeepCurve run(const KeepCurveCommand& command) {
    Session session = workspace_.session("inspect keep-curve", 5);
    return keep_curve(session, base_, command);
  }

  TinyWorkspace workspace_;
  LoadedVersion base_ = workspace_.load();
};

TEST_F(KeepCurveTest, HasAPointForEveryCriterionAndFraction) {
  const KeepCurve curve = run(command());
  ASSERT_EQ(curve.points.size(), 6U);
  EXPECT_EQ(curve.att_modules, 8);
  EXPECT_EQ(curve.mlp_modules, 10);
  EXPECT_EQ(curve.seeds, (std::vector<std::uint64_t>{5, 6, 7}));
  EXPECT_EQ(curve.points[1].criterion, Criterion::frequency);
  EXPECT_EQ(curve.points[1].keep, 0.5);
  EXPECT_EQ(curve.points[1].att_kept, 4);
  EXPECT_EQ(curve.points[1].mlp_kept, 6);
  EXPECT_EQ(curve.points[4].losses.size(), 3U);
}

TEST_F(KeepCurveTest, EndsAtTheLossOfTheWholeModel) {
  const KeepCurve curve = run(command());
  Session session = workspace_.session("eval");
  const TaskData task = open_task(session, TinyWorkspace::tokenizer(), "german", "");
  EXPECT_EQ(curve.full_loss, evaluate_task(session, base_.model, task, Split::validation, 200)->loss);
  EXPECT_EQ(curve.points[0].losses, std::vector<double>{curve.full_loss});
  EXPECT_EQ(curve.points[3].spread, 0.0) << "whatever the draw, everything is kept";
  EXPECT_NE(curve.points[1].mean, curve.full_loss);
}

TEST_F(KeepCurveTest, MeasuresWhatPruningWouldMake) {
  KeepCurveCommand held_out = command();
  held_out.split = Split::held_out;
  const KeepCurve curve = run(held_out);
  PruneCommand pruning;
  pruning.task = "german", pruning.keep = 0.3, pruning.criterion = Criterion::frequency;
  pruning.stat_tokens = 300, pruning.eval_tokens = 200, pruning.dry_run = true;
  Session session = workspace_.session("prune", 5);
  const PruneReport pruned = prune(session, base_, pruning);
  EXPECT_EQ(curve.full_loss, *pruned.tasks.at(0).before);
  EXPECT_EQ(curve.points[2].mean, *pruned.tasks.at(0).after);
  EXPECT_NE(curve.full_loss, run(command()).full_loss) << "the splits are other text";
}

TEST_F(KeepCurveTest, GivesMeanAndSpreadOfTheDraws) {
  const KeepCurvePoint point = run(command()).points[5];
  ASSERT_EQ(point.losses.size(), 3U);
  EXPECT_NE(point.losses[0], point.losses[1]);
  const double mean = (point.losses[0] + point.losses[1] + point.losses[2]) / 3;
  double squares = 0;
  for (const double loss : point.losses) squares += (loss - mean) * (loss - mean);
  EXPECT_NEAR(point.mean, mean, 1e-12);
  EXPECT_NEAR(point.spread, std::sqrt(squares / 2), 1e-12);
}

TEST_F(KeepCurveTest, RefusesWhatMeansNothing) {
  KeepCurveCommand wrong = command();
  wrong.fractions = {0.5, 0.0};
  expect_error<UsageError>([&] { run(wrong); }, "--fractions");
  wrong = command(), wrong.seeds = 0;
  expect_error<UsageError>([&] { run(wrong); }, "--seeds");
  wrong = command(), wrong.criteria.clear();
  expect_error<UsageError>([&] { run(wrong); }, "--criteria");
}

TEST_F(KeepCurveTest, NamesTheOtherSplitWhenThereIsNoValidationText) {
  workspace_.folder().write("one.jsonl", "{\"text\":\"" + std::string(300, 'a') + "\"}\n");
  workspace_.add_task("one", (workspace_.folder() / "one.jsonl").string());
  KeepCurveCommand command = KeepCurveTest::command();
  command.task = "one";
  command.criteria = {Criterion::norm};
  expect_error<Error>([&] { run(command); }, "no validation text");
}

}  // namespace
}  // namespace mformer
