// A small tuned version back in the full model, as a domain of its own.

#include "core/workflows/graft.h"

#include <gtest/gtest.h>

#include "core/model/domains.h"
#include "core/workflows/finetune.h"
#include "core/workflows/prune.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using testing::same_bits;
using testing::TinyWorkspace;

class GraftTest : public ::testing::Test {
 protected:
  void SetUp() override {
    workspace_.add_task("english", workspace_.corpus("english"));
    FinetuneCommand command;
    command.task = "german", command.data = workspace_.corpus("german"), command.into = "small";
    command.choice.emplace();
    command.choice->keep = 0.5, command.choice->stat_tokens = 300;
    command.eval_tokens = 200;
    command.options.steps = 20, command.options.batch_size = 2, command.options.learning_rate = 1e-2;
    Session session = workspace_.session("finetune");
    finetune(session, full_, command);
  }
  GraftReport run(const std::string& small = "small", GraftCommand command = {}) {
    command.eval_tokens = 200;
    Session session = workspace_.session("graft");
    return graft(session, workspace_.load("base"), workspace_.load(small), command);
  }

  TinyWorkspace workspace_;
  LoadedVersion full_ = workspace_.load();
};

TEST_F(GraftTest, MakesADomainThatIsTheSmallVersionAndLeavesTheBaseAlone) {
  const GraftReport report = run();
  EXPECT_EQ(report.domain, "german");
  const LoadedVersion now = workspace_.load("base");
  EXPECT_TRUE(same_bits(view_of(now.model, "german"), workspace_.load("small").model));
  EXPECT_TRUE(same_bits(view_of(now.model, kBaseHypothesis), full_.model));
  for (const Kind kind : {Kind::att, Kind::mlp}) {
    for (std::size_t l = 0; l < 2; ++l) {
      const auto& before = full_.manifest.layers[l].modules(kind);
      const auto& after = now.manifest.layers[l].modules(kind);
      ASSERT_GT(after.size(), before.size());
      for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i], before[i]) << "an old module changed";
    }
  }
}

TEST_F(GraftTest, MakesTheTaskBetterAndKeepsTheRestWithinThePosteriorsBound) {
  const GraftReport report = run();
  for (const TaskChange& task : report.tasks) {
    ASSERT_TRUE(task.before && task.after);
    // Documents here are single lines, and the bound is ln 2 for each: far less than 0.1 a token.
    EXPECT_LT(*task.after, *task.before + (task.task == "german" ? -0.1 : 0.1)) << task.task;
  }
}

TEST_F(GraftTest, RecordsWhereTheNewModulesComeFrom) {
  run();
  const LoadedVersion now = workspace_.load("base");
  const LoadedVersion small = workspace_.load("small");
  const auto& bank = now.model.blocks[1].mlp.modules;
  const Module& first = bank.at(full_.model.blocks[1].mlp.modules.size());
  const ModuleRecord record = workspace_.registry().module(first.uid);
  EXPECT_EQ(record.copied_from, small.model.blocks[1].mlp.modules[0].uid);
  EXPECT_EQ(record.born_command, "graft");
  EXPECT_EQ(record.born_task, "german");
}

TEST_F(GraftTest, KeepsForItselfOnlyTheRowsOfWordsThatChanged) {
  PruneCommand healing;
  healing.task = "german", healing.keep = 0.5, healing.heal_steps = 2, healing.into = "healed";
  healing.eval_tokens = 200, healing.stat_tokens = 300, healing.options.batch_size = 2;
  Session session = workspace_.session("prune");
  prune(session, full_, healing);
  GraftCommand command;
  command.domain = "healed";
  run("healed", command);
  const LoadedVersion now = workspace_.load("base");
  for (const PrivatePart& part : now.model.domains.at(0).parts) {
    EXPECT_NE(part.name.find("router"), std::string::npos) << part.name << ": healing trains routers only";
  }
  EXPECT_TRUE(same_bits(view_of(now.model, "healed"), workspace_.load("healed").model));
}

TEST_F(GraftTest, MakesAModelOfWhichOneHypothesisCanBePrunedOrTuned) {
  run();
  PruneCommand pruning;
  pruning.task = "german", pruning.keep = 1.0, pruning.into = "again";
  pruning.eval_tokens = 200, pruning.stat_tokens = 300;
  const auto prune_domain = [&](const std::string& domain) {
    pruning.domain = domain;
    Session session = workspace_.session("prune");
    prune(session, workspace_.load("base"), pruning);
    return workspace_.load("again").model;
  };
  expect_error<UsageError>([&] { prune_domain("germn"); }, "germn");
  const Model small = prune_domain("german");
  const LoadedVersion now = workspace_.load("base");
  EXPECT_TRUE(same_bits(small, view_of(now.model, "german")));
  EXPECT_TRUE(small.domains.empty());
  FinetuneCommand tuning;
  tuning.task = "german", tuning.domain = "german", tuning.modules = "kind=mlp,layer=0", tuning.into = "tuned";
  tuning.eval_tokens = 200, tuning.options.steps = 1, tuning.options.batch_size = 2;
  Session session = workspace_.session("finetune");
  const auto mlp = static_cast<std::int64_t>(small.blocks[0].mlp.modules.size());
  EXPECT_EQ(finetune(session, now, tuning).trainable.total(), mlp * (2 * 16 * 12 + 8)) << "the domain's modules only";
}

TEST_F(GraftTest, WritesNothingInADryRun) {
  GraftCommand command;
  command.dry_run = true;
  const GraftReport expected = run("small", command);
  EXPECT_EQ(to_string(workspace_.load("base").record), "base@1");
  const GraftReport real = run();
  EXPECT_EQ(expected.private_weights, real.private_weights);
  EXPECT_EQ(expected.size_after.weights, real.size_after.weights);
  EXPECT_EQ(expected.mlp_modules, real.mlp_modules);
}

TEST_F(GraftTest, RefusesNamesThatAreTakenAndVersionsFromElsewhere) {
  EXPECT_EQ(run().domain, "german");
  EXPECT_EQ(run().domain, "german-2") << "a second of the same name";
  GraftCommand command;
  command.domain = "german";
  expect_error<UsageError>([&] { run("small", command); }, "'german' already");
  command.domain = "base";
  expect_error<UsageError>([&] { run("small", command); }, "'base' already");
  command.domain = "other";
  expect_error<Error>([&] { run("base", command); }, "has domains itself");
  Session session = workspace_.session("graft");
  expect_error<Error>([&] { graft(session, workspace_.load("small"), full_, command); }, "is not there");
}

}  // namespace
}  // namespace mformer
