// A mask brings an earlier version back or is refused; undo; freezing and what trainers obey.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/history/commit.h"
#include "core/model/forward.h"
#include "core/workflows/evaluate_tasks.h"
#include "core/workflows/finetune.h"
#include "core/workflows/freeze.h"
#include "core/workflows/train.h"
#include "core/workflows/undo.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using testing::same_bits;
using testing::TinyWorkspace;

/// One more feed-forward module in every layer.
void grow(Model& model) {
  for (Block& block : model.blocks) {
    Module fresh = block.mlp.modules[0];
    fresh.uid.clear();
    fresh.row = fresh.row * 1.1;
    block.mlp.modules.push_back(fresh);
  }
  count_modules(model);
}

class HistoryTest : public ::testing::Test {
 protected:
  /// Commits the current version's model, changed by `change`, as the next version.
  void commit(const std::function<void(Model&)>& change) {
    Session session = workspace_.session("extend");
    const LoadedVersion base = workspace_.load();
    Model model = clone(base.model);
    change(model);
    run_operation(session, "base", {},
                  [&](std::int64_t operation) { commit_model(session, operation, base, model, ""); });
  }

  Model masked(const std::string& as_of) { return masked_as_of(workspace_.registry(), workspace_.load(), as_of); }

  UndoReport take_back(bool dry_run = false) {
    const UndoReport plan = plan_undo(workspace_.registry(), "base");
    Session session = workspace_.session("undo");
    if (!dry_run) undo(session, "base", plan);
    return plan;
  }

  FreezeReport freeze(const std::string& selector, bool frozen, bool dry_run = false) {
    Session session = workspace_.session(frozen ? "freeze" : "unfreeze");
    return set_frozen(session, workspace_.registry().resolve(""), workspace_.registry().current_model(), selector,
                      frozen, dry_run);
  }

  FinetuneCommand short_command() const {
    FinetuneCommand command;
    command.task = "german";
    command.data = workspace_.corpus("german");
    command.eval_tokens = 100;
    command.options.steps = 2;
    command.options.batch_size = 2;
    command.options.learning_rate = 1e-2;
    return command;
  }

  TinyWorkspace workspace_;
};

using AsOfTest = HistoryTest;

TEST_F(AsOfTest, BringsBackEachEarlierVersionOfAModelThatGrewTwice) {
  const Model first = workspace_.load().model;
  commit(grow);
  const Model second = workspace_.load().model;
  commit(grow);
  EXPECT_TRUE(same_bits(masked("base@1"), first));
  EXPECT_TRUE(same_bits(masked("base@2"), second));
  EXPECT_TRUE(same_bits(masked("base@3"), workspace_.load().model));
}

TEST_F(AsOfTest, IsRefusedWhenTheTrunkChanged) {
  commit(grow);
  commit([](Model& model) { model.blocks[1].ln_2.bias.add_(1e-3); });
  EXPECT_THAT(expect_error<NotAnExtension>([&] { masked("base@1"); }, "the trunk's part"), HasSubstr("--model base@1"));
}

TEST_F(AsOfTest, IsRefusedWhenAnOldModuleChanged) {
  const std::string uid = workspace_.load().model.blocks[1].att.modules[2].uid;
  commit([](Model& model) { model.blocks[1].att.modules[2].in.add_(1e-3); });
  expect_error<NotAnExtension>([&] { masked("base@1"); }, "module " + uid + " changed");
}

TEST_F(AsOfTest, IsRefusedWhenARouterChanged) {
  commit([](Model& model) { model.blocks[0].mlp.modules[3].row.add_(1e-3); });
  expect_error<NotAnExtension>([&] { masked("base@1"); }, "a router changed");
  commit([](Model& model) { model.blocks[0].mlp.router.bias.add_(1e-3); });
  expect_error<NotAnExtension>([&] { masked("base@2"); }, "a router changed");
}

TEST_F(AsOfTest, IsRefusedWhenAnOldModuleWasRemoved) {
  commit([](Model& model) {
    ModuleSelection keep = all_modules(model);
    keep.mlp[0] = {0, 1, 3, 4};
    model = select(model, keep);
  });
  expect_error<NotAnExtension>([&] { masked("base@1"); }, "was removed");
}

TEST_F(AsOfTest, IsRefusedForAVersionThatIsNoAncestor) {
  commit(grow);
  take_back();
  expect_error<NotAnExtension>([&] { masked("base@2"); }, "is no ancestor");
  expect_error<UsageError>([&] { masked("nobody"); }, "nobody");
}

TEST_F(AsOfTest, EvaluatesLikeTheEarlierVersionAndKeepsNoScore) {
  Session session = workspace_.session("eval");
  workspace_.add_task("german", workspace_.corpus("german"));
  EvalCommand command;
  command.max_tokens = 200;
  const EvalReport before = evaluate_tasks(session, workspace_.load(), command, false);
  commit(grow);
  command.as_of = "base@1";
  const EvalReport now = evaluate_tasks(session, workspace_.load(), command, true);
  EXPECT_EQ(now.masked_modules, 2);
  EXPECT_EQ(now.rows[0].held_out->loss, before.rows[0].held_out->loss);
  EXPECT_TRUE(workspace_.registry().scores().empty());
}

using UndoTest = HistoryTest;

TEST_F(UndoTest, GoesBackOneVersionEachTimeUntilTheBeginning) {
  const LoadedVersion first = workspace_.load();
  commit(grow);
  commit(grow);
  const UndoReport once = take_back();
  EXPECT_EQ(to_string(once.from), "base@3");
  EXPECT_EQ(to_string(once.to), "base@2");
  EXPECT_EQ(once.undone.command, "extend");
  EXPECT_EQ(to_string(take_back().to), "base@1");
  EXPECT_TRUE(same_bits(workspace_.load().model, first.model));
  EXPECT_FALSE(expect_error<Error>([&] { take_back(); }, "nothing to undo").empty());
  EXPECT_EQ(workspace_.registry().operations().size(), 5U) << "an undo is an operation itself";
  EXPECT_EQ(to_string(workspace_.registry().resolve("base@3")), "base@3") << "nothing is deleted";
}

TEST_F(UndoTest, GoesOnFromWhereItWentBackTo) {
  commit(grow);
  take_back();
  commit([](Model& model) { model.ln_f.bias.add_(1.0); });
  EXPECT_EQ(to_string(workspace_.registry().resolve("base")), "base@3");
  EXPECT_EQ(to_string(take_back().to), "base@1");
}

TEST_F(UndoTest, LeavesTheOtherModelAloneWhenItsVersionIsWorkedOnAgain) {
  const auto into_qa = [&](const LoadedVersion& base, const std::string& into) {
    Session session = workspace_.session("finetune");
    Model model = clone(base.model);
    model.ln_f.bias.add_(1.0);
    run_operation(session, "qa", {},
                  [&](std::int64_t operation) { commit_model(session, operation, base, model, into); });
  };
  into_qa(workspace_.load("base"), "qa");
  Session session = workspace_.session("undo");
  undo(session, "qa", plan_undo(workspace_.registry(), "qa"));
  LoadedVersion base = workspace_.load("qa");
  EXPECT_EQ(to_string(base.record), "base@1");
  base.target = "qa";
  into_qa(base, "");
  EXPECT_EQ(to_string(workspace_.registry().resolve("qa")), "qa@2");
  EXPECT_EQ(to_string(workspace_.registry().resolve("base")), "base@1");
}

TEST_F(UndoTest, TakesBackOnlyWhatItSaw) {
  commit(grow);
  const UndoReport plan = plan_undo(workspace_.registry(), "base");
  commit(grow);  // by another command, between the plan and the deed
  Session session = workspace_.session("undo");
  expect_error<Error>([&] { undo(session, "base", plan); }, "meanwhile");
  EXPECT_EQ(to_string(workspace_.registry().resolve("base")), "base@3");
}

TEST_F(UndoTest, MovesNothingInADryRun) {
  commit(grow);
  EXPECT_EQ(to_string(take_back(true).to), "base@1");
  EXPECT_EQ(to_string(workspace_.registry().resolve("base")), "base@2");
  EXPECT_EQ(workspace_.registry().operations().size(), 2U);
}

using FreezeTest = HistoryTest;

TEST_F(FreezeTest, MakesAVersionThatDiffersInTheFlagsAlone) {
  const LoadedVersion before = workspace_.load();
  const FreezeReport report = freeze("kind=mlp,index=0-1", true);
  EXPECT_EQ(report.selected, 4);
  EXPECT_EQ(report.changed, 4);
  LoadedVersion after = workspace_.load();
  EXPECT_TRUE(same_bits(after.model, before.model));
  EXPECT_EQ(workspace_.registry().added_bytes(after.record.hash), 0);
  EXPECT_TRUE(after.model.blocks[1].mlp.modules[1].frozen);
  EXPECT_FALSE(after.model.blocks[1].mlp.modules[2].frozen);
  EXPECT_EQ(freeze("kind=mlp,index=1-2", true).changed, 2);
  EXPECT_EQ(freeze("all", false).changed, 6);
  EXPECT_EQ(workspace_.load().manifest, before.manifest);
}

TEST_F(FreezeTest, MakesNoVersionWhenNoFlagChangesOrInADryRun) {
  EXPECT_FALSE(freeze("all", false).version.has_value());
  EXPECT_EQ(freeze("layer=0", true, /*dry_run=*/true).changed, 9);
  EXPECT_EQ(workspace_.registry().versions("base").size(), 1U);
}

TEST_F(FreezeTest, IsObeyedByEveryTrainer) {
  freeze("layer=0,kind=mlp", true);
  const LoadedVersion base = workspace_.load();
  Session session = workspace_.session("train");
  PretrainCommand whole;
  static_cast<TrainCommand&>(whole) = short_command();
  EXPECT_EQ(pretrain(session, base, whole).trainable.mlp_modules, 5 * 2 * 16 * 12);
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(now.manifest.layers[0].mlp, base.manifest.layers[0].mlp);
  EXPECT_NE(now.manifest.layers[1].mlp, base.manifest.layers[1].mlp);
  Session tuning = workspace_.session("finetune");
  FinetuneCommand frozen_only = short_command();
  frozen_only.modules = "frozen";
  expect_error<Error>([&] { finetune(tuning, now, frozen_only); }, "nothing to train");
}

}  // namespace
}  // namespace mformer
