// Choosing modules first and tuning only these, distillation, and load concentration.

#include "core/workflows/finetune.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/workflows/prune.h"
#include "core/workspace/routing_stats.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::same_bits;
using testing::TinyWorkspace;

class FinetuneTest : public ::testing::Test {
 protected:
  FinetuneCommand command(std::optional<double> keep = std::nullopt) {
    FinetuneCommand command;
    command.task = "german";
    command.data = workspace_.corpus("german");
    command.eval_tokens = 200;
    command.options.steps = 3;
    command.options.batch_size = 2;
    command.options.learning_rate = 1e-2;
    if (keep.has_value()) {
      command.choice.emplace();
      command.choice->keep = *keep;
      command.choice->stat_tokens = 300;
    }
    return command;
  }
  FinetuneReport run(FinetuneCommand command, const std::string& into = "") {
    command.into = into;
    Session session = workspace_.session("finetune");
    return finetune(session, base_, command);
  }
  Model tuned(const FinetuneCommand& command, const std::string& into) {
    run(command, into);
    return workspace_.load(into).model;
  }

  TinyWorkspace workspace_;
  LoadedVersion base_ = workspace_.load();
};

TEST_F(FinetuneTest, ChangesTheSelectedModulesAndTheirRowsOnly) {
  FinetuneCommand narrowed = command();
  narrowed.modules = "kind=mlp,layer=1,index=0-2";
  const FinetuneReport report = run(narrowed);
  EXPECT_EQ(report.trainable.total(), 3 * (2 * 16 * 12 + 8));
  EXPECT_FALSE(report.kept.has_value());
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(now.manifest.parts, base_.manifest.parts);
  EXPECT_EQ(now.manifest.layers[0], base_.manifest.layers[0]);
  EXPECT_EQ(now.manifest.layers[1].att, base_.manifest.layers[1].att);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(now.manifest.layers[1].mlp[i] == base_.manifest.layers[1].mlp[i], i > 2) << i;
    EXPECT_EQ(now.model.blocks[1].mlp.modules[i].row.equal(base_.model.blocks[1].mlp.modules[i].row), i > 2) << i;
  }
  ASSERT_EQ(report.tasks.size(), 1U);
  EXPECT_TRUE(report.tasks[0].before.has_value() && report.tasks[0].after.has_value());
}

TEST_F(FinetuneTest, KeepsWhatPruningWouldKeepAndTrainsAllOfIt) {
  PruneCommand pruning;
  pruning.task = "german", pruning.data = workspace_.corpus("german");
  pruning.keep = 0.5, pruning.stat_tokens = 300, pruning.dry_run = true;
  Session session = workspace_.session("prune");
  const ModuleSelection expected = prune(session, base_, pruning).kept;
  const FinetuneReport report = run(command(0.5));
  ASSERT_TRUE(report.kept.has_value());
  EXPECT_EQ(report.kept->att, expected.att);
  EXPECT_EQ(report.kept->mlp, expected.mlp);
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(report.size_after.weights, size_of(now.model).weights);
  EXPECT_LT(report.size_after.weights, report.size_before.weights);
  Model before = select(base_.model, expected), after = now.model;
  const auto old = parameters(before), fresh = parameters(after);
  ASSERT_EQ(old.size(), fresh.size());
  for (std::size_t i = 0; i < old.size(); ++i) EXPECT_FALSE(old[i].tensor->equal(*fresh[i].tensor)) << old[i].name;
  EXPECT_EQ(after.blocks[0].mlp.modules[0].uid, before.blocks[0].mlp.modules[0].uid);
  EXPECT_TRUE(same_bits(base_.model, workspace_.load("base@1").model)) << "the model in memory was changed";
}

TEST_F(FinetuneTest, IsTheSameAsPruningWithTuning) {
  const FinetuneCommand tuning = command(0.5);
  PruneCommand pruning;
  static_cast<TaskCommand&>(pruning) = tuning;
  pruning.options = tuning.options;
  static_cast<ModuleChoice&>(pruning) = *tuning.choice;
  pruning.tune_steps = tuning.options.steps;
  pruning.loss.distill = 1.0;
  pruning.into = "pruned";
  Session session = workspace_.session("prune");
  const PruneReport report = prune(session, base_, pruning);
  EXPECT_EQ(report.trainable.total(), report.size_after.weights);
  FinetuneCommand same = tuning;
  same.loss = pruning.loss;
  EXPECT_TRUE(same_bits(tuned(same, "finetuned"), workspace_.load("pruned").model));
}

TEST_F(FinetuneTest, TunesTheWholeModelWhenEverythingIsKept) {
  const FinetuneReport report = run(command(1.0));
  EXPECT_EQ(report.trainable.total(), size_of(base_.model).weights);
  EXPECT_EQ(size_of(workspace_.load().model).weights, size_of(base_.model).weights);
}

TEST_F(FinetuneTest, TrainsOnlyTheSelectedAmongTheKept) {
  FinetuneCommand narrowed = command(0.5);
  narrowed.modules = "kind=mlp,layer=1";
  const FinetuneReport report = run(narrowed);
  EXPECT_EQ(report.trainable.trunk + report.trainable.router + report.trainable.att_modules, 0);
  Model before = select(base_.model, *report.kept), after = workspace_.load().model;
  const auto old = parameters(before), fresh = parameters(after);
  for (std::size_t i = 0; i < old.size(); ++i) {
    const bool trained = old[i].part == ParameterRef::Part::module && old[i].kind == Kind::mlp && old[i].layer == 1;
    EXPECT_EQ(!old[i].tensor->equal(*fresh[i].tensor), trained) << old[i].name;
  }
}

TEST_F(FinetuneTest, RefusesASelectorThatNamesNothingKept) {
  ModuleSelection kept = *run(command(0.3), "small").kept;
  std::int64_t gone = 0;
  while (std::find(kept.mlp[0].begin(), kept.mlp[0].end(), gone) != kept.mlp[0].end()) ++gone;
  FinetuneCommand narrowed = command(0.3);
  narrowed.modules = "kind=mlp,layer=0,index=" + std::to_string(gone);
  expect_error<Error>([&] { run(narrowed); }, "is kept");
}

TEST_F(FinetuneTest, LearnsFromTheTeacherThatIsNamed) {
  const Model plain = tuned(command(0.5), "plain");
  FinetuneCommand learner = command(0.5);
  learner.loss.distill = 2.0;
  const Model of_base = tuned(learner, "of-base");
  learner.loss.teacher = "plain";
  const Model of_plain = tuned(learner, "of-plain");
  learner.loss.teacher = "base@1";
  const Model of_named_base = tuned(learner, "of-named-base");
  EXPECT_FALSE(same_bits(of_base, plain));
  EXPECT_FALSE(same_bits(of_base, of_plain));
  EXPECT_TRUE(same_bits(of_base, of_named_base)) << "the base is the default teacher";
}

TEST_F(FinetuneTest, ComesNearerToItsTeacherWithDistillation) {
  FinetuneCommand learner = command(0.5);
  learner.options.steps = 30;
  const auto distance = [&](double weight) {
    learner.loss.distill = weight;
    const Model student = tuned(learner, weight > 0 ? "taught" : "untaught");
    const at::Tensor ids = testing::tiny_ids(4, 20);
    const auto log_probs = [&](const Model& m) { return logits_of(m, forward(m, ids).hidden).log_softmax(-1); };
    const at::Tensor p = log_probs(base_.model);
    return (p.exp() * (p - log_probs(student))).sum(-1).mean().item<double>();
  };
  const double untaught = distance(0.0);
  EXPECT_LT(distance(20.0), 0.8 * untaught);
}

TEST_F(FinetuneTest, GoesOnAfterAnInterruptionWithTheSameBits) {
  FinetuneCommand cut = command(0.5);
  cut.options.steps = 6;
  cut.loss.distill = 1.0;
  cut.loss.concentrate = 0.5;
  cut.loss.concentrate_warmup = 1.0;
  const Model whole = tuned(cut, "whole");
  cut.into = "cut";
  Session session = workspace_.session("finetune");
  bool stop = false;
  session.watcher.progress = [&](const std::string& stage, std::int64_t done, std::int64_t, double, double) {
    stop = stage == "finetune" && done == 3;
  };
  session.watcher.should_stop = [&] { return stop; };
  EXPECT_THROW(finetune(session, base_, cut), TrainingInterrupted);
  session.watcher.should_stop = {};
  EXPECT_EQ(finetune(session, base_, cut).training.first_step, 3);
  EXPECT_TRUE(same_bits(whole, workspace_.load("cut").model));
}

TEST_F(FinetuneTest, ReportsHowConcentratedTheRoutingBecame) {
  FinetuneCommand concentrated = command();
  concentrated.options.steps = 40;
  concentrated.loss.concentrate = 3.0;
  const FinetuneReport report = run(concentrated);
  ASSERT_EQ(report.concentration.size(), 1U);
  EXPECT_EQ(report.concentration[0].task, "german");
  EXPECT_LT(report.concentration[0].after, report.concentration[0].before);
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(report.concentration[0].after,
            ninety_percent_share(workspace_.registry().routing_stats(now.record.hash, "german")));
}

TEST(TuneLoss, GrowsTheWeightsOfConcentrationLinearlyAndKeepsThem) {
  TuneLoss loss;
  EXPECT_EQ(loss.concentration_at(0, 100), 1.0) << "no warm-up";
  loss.concentrate = 1;
  loss.concentrate_warmup = 0.5;
  EXPECT_DOUBLE_EQ(loss.concentration_at(0, 100), 0.02);
  EXPECT_DOUBLE_EQ(loss.concentration_at(24, 100), 0.5);
  EXPECT_DOUBLE_EQ(loss.concentration_at(49, 100), 1.0);
  EXPECT_DOUBLE_EQ(loss.concentration_at(99, 100), 1.0);
}

TEST(TuneLoss, RefusesCombinationsWithoutAnEffect) {
  TuneLoss loss;
  loss.teacher = "base";
  expect_error<UsageError>([&] { loss.validate(); }, "--teacher");
  loss = {};
  loss.concentrate_warmup = 0.5;
  expect_error<UsageError>([&] { loss.validate(); }, "--concentrate-warmup");
  loss = {};
  loss.distill = -1;
  expect_error<UsageError>([&] { loss.validate(); }, "--distill");
  loss = {};
  loss.temperature = 0;
  expect_error<UsageError>([&] { loss.validate(); }, "--distill-temperature");
}

}  // namespace
}  // namespace mformer
