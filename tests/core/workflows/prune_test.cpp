// Pruning a version for a task: real removal, and the mask that predicts it.

#include "core/workflows/prune.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/model/forward.h"
#include "core/workspace/routing_stats.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::same_bits;
using testing::tiny_ids;
using testing::TinyWorkspace;

PruneCommand half(const TinyWorkspace& workspace) {
  PruneCommand command;
  command.task = "german";
  command.data = workspace.corpus("german");
  command.keep = 0.5;
  command.stat_tokens = 300;
  command.eval_tokens = 200;
  command.options.batch_size = 2;
  return command;
}

class PruneTest : public ::testing::Test {
 protected:
  PruneReport run(const PruneCommand& command) {
    Session session = workspace_.session("prune");
    return prune(session, base_, command);
  }
  at::Tensor logits(const Model& model) { return logits_of(model, forward(model, tiny_ids(2, 20)).hidden); }

  TinyWorkspace workspace_;
  LoadedVersion base_ = workspace_.load();
};

TEST_F(PruneTest, RemovesModulesAndKeepsTheObjectsOfTheOthers) {
  const PruneReport report = run(half(workspace_));
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(now.manifest.parts, base_.manifest.parts);
  for (std::size_t l = 0; l < 2; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto& kept = report.kept.of(kind)[l];
      ASSERT_EQ(kept.size(), kind == Kind::att ? 2U : 3U);
      for (std::size_t i = 0; i < kept.size(); ++i) {
        EXPECT_EQ(now.manifest.layers[l].modules(kind)[i], base_.manifest.layers[l].modules(kind)[kept[i]]);
      }
    }
  }
  EXPECT_LT(report.stored_after, report.stored_before);
  EXPECT_LT(report.size_after.bytes, report.size_before.bytes);
  EXPECT_EQ(report.stored_after, workspace_.registry().version_bytes(now.record.hash));
}

TEST_F(PruneTest, MeasuresItsTaskOnceBeforeAndOnceAfter) {
  Session session = workspace_.session("prune");
  int evaluations = 0;
  session.watcher.progress = [&](const std::string& stage, std::int64_t done, std::int64_t total, double, double) {
    evaluations += stage == "evaluate german" && done == total ? 1 : 0;
  };
  const PruneReport report = prune(session, base_, half(workspace_));
  EXPECT_EQ(evaluations, 2);
  ASSERT_EQ(report.tasks.size(), 1U);
  const auto known = [&](const std::string& version) {
    return known_score(workspace_.registry(), version, "german", half(workspace_).eval_tokens);
  };
  EXPECT_EQ(report.tasks[0].before, known(base_.record.hash)->loss);
  EXPECT_EQ(report.tasks[0].after, known(report.version->hash)->loss);
  EXPECT_NE(report.tasks[0].before, report.tasks[0].after);
}

TEST_F(PruneTest, GivesTheLogitsOfTheMask) {
  const PruneReport report = run(half(workspace_));
  EXPECT_TRUE(logits(workspace_.load().model).equal(logits(select(base_.model, report.kept))));
}

TEST_F(PruneTest, ChangesNothingWhenEverythingIsKept) {
  PruneCommand command = half(workspace_);
  command.keep = 1.0;
  run(command);
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(now.record.content_hash, base_.record.content_hash);
  EXPECT_TRUE(same_bits(now.model, base_.model));
}

TEST_F(PruneTest, PredictsItsLossInADryRunAndWritesNothing) {
  PruneCommand command = half(workspace_);
  command.dry_run = true;
  const PruneReport expected = run(command);
  EXPECT_FALSE(expected.version.has_value());
  EXPECT_TRUE(workspace_.registry().tasks().empty());
  EXPECT_EQ(workspace_.registry().versions("base").size(), 1U);
  command.dry_run = false;
  const PruneReport real = run(command);
  EXPECT_EQ(expected.kept.mlp, real.kept.mlp);
  ASSERT_EQ(expected.tasks.size(), 1U);
  EXPECT_EQ(expected.tasks[0].after, real.tasks[0].after);
  EXPECT_EQ(expected.tasks[0].before, real.tasks[0].before);
  // What is stored has a header per object, so the expected size is near, not exact.
  EXPECT_NEAR(static_cast<double>(expected.stored_after), static_cast<double>(real.stored_after),
              0.05 * static_cast<double>(real.stored_after));
}

TEST_F(PruneTest, KeepsWhatTheTaskRoutesTo) {
  PruneCommand command = half(workspace_);
  command.criterion = Criterion::frequency;
  const PruneReport report = run(command);
  Session session = workspace_.session("inspect");
  const TaskData task = open_task(session, TinyWorkspace::tokenizer(), "german", "");
  const auto stats = collect_routing(session, base_.model, task, Split::train, 300);
  for (std::size_t l = 0; l < 2; ++l) {
    std::vector<std::pair<std::int64_t, std::int64_t>> slots;
    for (const RoutingStat& stat : stats) {
      if (stat.layer != static_cast<int>(l) || stat.kind != Kind::mlp) continue;
      slots.emplace_back(-stat.slots, static_cast<std::int64_t>(slots.size()));
    }
    std::sort(slots.begin(), slots.end());
    std::vector<std::int64_t> best = {slots[0].second, slots[1].second, slots[2].second};
    std::sort(best.begin(), best.end());
    EXPECT_EQ(report.kept.mlp[l], best) << l;
  }
}

TEST_F(PruneTest, HealsTheRoutersOnly) {
  PruneCommand command = half(workspace_);
  const PruneReport plain = run(command);
  const LoadedVersion unhealed = workspace_.load();
  command.into = "healed";
  command.heal_steps = 3;
  command.options.learning_rate = 1e-2;
  run(command);
  const LoadedVersion healed = workspace_.load("healed");
  EXPECT_EQ(healed.manifest.parts, base_.manifest.parts);
  for (std::size_t l = 0; l < 2; ++l) {
    EXPECT_EQ(healed.manifest.layers[l].att, unhealed.manifest.layers[l].att);
    EXPECT_EQ(healed.manifest.layers[l].mlp, unhealed.manifest.layers[l].mlp);
    EXPECT_NE(healed.manifest.layers[l].mlp_router, unhealed.manifest.layers[l].mlp_router);
  }
  EXPECT_TRUE(same_bits(base_.model, workspace_.load("base@1").model)) << "the model in memory was changed";
}

TEST_F(PruneTest, RefusesFractionsOutOfRange) {
  for (const double keep : {0.0, -0.5, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    PruneCommand command = half(workspace_);
    command.keep = keep;
    EXPECT_FALSE(expect_error<UsageError>([&] { run(command); }, "--keep").empty());
  }
  PruneCommand command = half(workspace_);
  command.heal_steps = -1;
  expect_error<UsageError>([&] { run(command); }, "--heal-steps");
}

TEST_F(PruneTest, RefusesTrainingOptionsWithoutAnEffect) {
  PruneCommand command = half(workspace_);
  command.heal_steps = command.tune_steps = 2;
  expect_error<UsageError>([&] { run(command); }, "exclude each other");
  command.heal_steps = command.tune_steps = 0;
  command.loss.distill = 1;
  expect_error<UsageError>([&] { run(command); }, "--distill");
}

TEST_F(PruneTest, HealsByDistillationToo) {
  PruneCommand command = half(workspace_);
  command.heal_steps = 3;
  command.into = "healed";
  run(command);
  command.into = "taught";
  command.loss.distill = 5;
  run(command);
  const LoadedVersion healed = workspace_.load("healed"), taught = workspace_.load("taught");
  EXPECT_EQ(healed.manifest.layers[0].mlp, taught.manifest.layers[0].mlp);
  EXPECT_NE(healed.manifest.layers[0].mlp_router, taught.manifest.layers[0].mlp_router);
}

}  // namespace
}  // namespace mformer
