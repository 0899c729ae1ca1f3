// Extending a model for a new domain: what is added, what is trained, and what must not change. Longer
// than other files, since all its tests are run for every kind of router through one parameterised fixture.

#include "core/workflows/extend.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/model/forward.h"
#include "core/surgery/token_rows.h"
#include "core/workflows/evaluate_tasks.h"
#include "tests/support/expect_error.h"
#include "tests/support/short_extension.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using testing::tiny_ids;
using testing::TinyWorkspace;

ExtendCommand short_command(const TinyWorkspace& workspace) {
  ExtendCommand command = testing::short_extension(workspace, "german");
  command.single_mask = true;
  command.rehearse = 0;
  command.options.steps = 3;
  return command;
}

at::Tensor logits(const Model& model) {
  return logits_of(model, forward(model, tiny_ids(2, 20)).hidden);
}

class ExtendTest : public ::testing::TestWithParam<std::string> {
 protected:
  ExtendTest() : workspace_(GetParam()), base_(workspace_.load()) {}

  ExtendReport run() { return run(short_command(workspace_)); }
  ExtendReport run(const ExtendCommand& command) {
    Session session = workspace_.session("extend");
    return extend(session, base_, command);
  }
  void add_task(const std::string& name) { workspace_.add_task(name, workspace_.corpus(name)); }

  TinyWorkspace workspace_;
  LoadedVersion base_;
};

TEST_P(ExtendTest, LeavesEveryOldObjectAndEveryOldRouterRowAsItWas) {
  const ExtendReport report = run();
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(now.record.hash, report.version->hash);
  EXPECT_EQ(now.manifest.parts, base_.manifest.parts) << "the trunk";
  EXPECT_EQ(now.manifest.tokenizer_object, base_.manifest.tokenizer_object);
  for (std::size_t l = 0; l < 2; ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto &before = base_.manifest.layers[l].modules(kind), &after = now.manifest.layers[l].modules(kind);
      ASSERT_EQ(after.size(), before.size() + (kind == Kind::att ? 1 : 2));
      EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
      const ModuleBank &old = base_.model.blocks[l].bank(kind), &grown = now.model.blocks[l].bank(kind);
      for (std::size_t i = 0; i < old.modules.size(); ++i) EXPECT_TRUE(grown.modules[i].row.equal(old.modules[i].row));
      for (const auto part : {&Router::weight, &Router::bias, &Router::temperature}) {
        const at::Tensor &a = old.router.*part, &b = grown.router.*part;
        EXPECT_TRUE(a.defined() == b.defined() && (!a.defined() || a.equal(b)));
      }
    }
  }
  EXPECT_TRUE(workspace_.registry().fsck().empty());
}

TEST_P(ExtendTest, SaysWhatOfTheOldIsTheSameAndWhatIsNot) {
  const ExtendReport report = run();
  EXPECT_TRUE(report.difference->nothing_old_changed());
  EXPECT_TRUE(report.difference->domains.empty());
  add_task("english");
  ExtendCommand rehearsed = short_command(workspace_);
  rehearsed.rehearse = 1;
  rehearsed.into = "rehearsed";
  const VersionDiff changed = run(rehearsed).difference.value();
  EXPECT_FALSE(changed.nothing_old_changed());
  EXPECT_FALSE(changed.trunk.empty()) << "rehearsal makes it safe to train it";
  EXPECT_FALSE(changed.old_routers.empty());
  EXPECT_EQ(changed.same_modules, 18) << "old modules keep their bits in any case";
}

TEST_P(ExtendTest, ReproducesTheParentBitForBitWhenTheNewModulesAreMasked) {
  run();
  const LoadedVersion now = workspace_.load();
  EXPECT_FALSE(logits(now.model).equal(logits(base_.model)));
  EXPECT_TRUE(logits(masked_as_of(workspace_.registry(), now, "base@1")).equal(logits(base_.model)));
}

TEST_P(ExtendTest, CountsWhatItAddsAndTrains) {
  const ExtendReport report = run();
  const std::int64_t row = GetParam() == "linear" ? 16 : 8;
  EXPECT_EQ(report.new_att, 2);
  EXPECT_EQ(report.new_mlp, 4);
  EXPECT_EQ(report.trainable.att_modules, 2 * 2 * 16 * 8);
  EXPECT_EQ(report.trainable.mlp_modules, 4 * 2 * 16 * 12);
  EXPECT_EQ(report.trainable.module_rows, 6 * row);
  EXPECT_EQ(report.trainable.trunk + report.trainable.router, 0);
  EXPECT_EQ(report.size_after.weights - report.size_before.weights, report.trainable.total());
  EXPECT_EQ(report.added_bytes, workspace_.registry().added_bytes(report.version->hash));
  EXPECT_GE(report.added_bytes, report.trainable.total() * 4);
  EXPECT_LT(report.added_bytes, workspace_.registry().version_bytes(report.version->hash) / 2);
}

TEST_P(ExtendTest, TrainsEveryNewModuleThatTheDomainUses) {
  ExtendCommand command = short_command(workspace_);
  const ExtendReport trained = run(command);
  const LoadedVersion first = workspace_.load();
  // The same beginning without a step worth the name.
  command.options.learning_rate = 1e-30;
  command.options.adamw.weight_decay = 0;
  command.into = "still";
  run(command);
  const LoadedVersion still = workspace_.load("still");
  int changed = 0;
  for (std::size_t l = 0; l < 2; ++l) {
    for (std::size_t i = 5; i < 7; ++i) {
      changed += first.model.blocks[l].mlp.modules[i].in.equal(still.model.blocks[l].mlp.modules[i].in) ? 0 : 1;
    }
  }
  EXPECT_GE(changed, 2);
}

INSTANTIATE_TEST_SUITE_P(Gates, ExtendTest, ::testing::Values("mlp", "linear", "gmm"),
                         [](const auto& instance) { return instance.param; });

class ExtendOnceTest : public ExtendTest {};
INSTANTIATE_TEST_SUITE_P(Gates, ExtendOnceTest, ::testing::Values("mlp"));

/// A command whose training moves nothing, to see how the new modules begin.
ExtendCommand untrained(const TinyWorkspace& workspace, NewModules start) {
  ExtendCommand command = short_command(workspace);
  command.start = start;
  command.options.steps = 1;
  command.options.learning_rate = 1e-30;
  command.options.adamw.weight_decay = 0;
  return command;
}

TEST_P(ExtendOnceTest, CopiesTheModulesThatTheDomainUsesMost) {
  run(untrained(workspace_, NewModules::copy));
  const LoadedVersion now = workspace_.load();
  Session session = workspace_.session("inspect");
  const TaskData task = open_task(session, TinyWorkspace::tokenizer(), "german", "");
  const auto stats = collect_routing(session, base_.model, task, Split::train, 200);
  for (std::size_t l = 0; l < 2; ++l) {
    std::vector<std::pair<double, std::size_t>> mass;
    for (const RoutingStat& stat : stats) {
      if (stat.layer == static_cast<int>(l) && stat.kind == Kind::mlp) mass.emplace_back(-stat.gate_mass, mass.size());
    }
    std::sort(mass.begin(), mass.end());
    for (std::size_t i = 0; i < 2; ++i) {
      const Module& fresh = now.model.blocks[l].mlp.modules[5 + i];
      const Module& parent = base_.model.blocks[l].mlp.modules[mass[i].second];
      EXPECT_EQ(workspace_.registry().module(fresh.uid).copied_from, parent.uid);
      EXPECT_LT((fresh.out - parent.out).norm().item<double>(), 0.05 * parent.out.norm().item<double>());
      EXPECT_FALSE(fresh.out.equal(parent.out)) << "copies must be able to part";
    }
  }
}

TEST_P(ExtendOnceTest, BeginsUnchangedModulesWithoutAnyOutput) {
  run(untrained(workspace_, NewModules::unchanged));
  const LoadedVersion now = workspace_.load();
  for (const Block& block : now.model.blocks) {
    for (std::size_t i = 5; i < 7; ++i) EXPECT_LT(block.mlp.modules[i].out.abs().max().item<double>(), 1e-20);
    EXPECT_LT(block.att.modules[4].out.abs().max().item<double>(), 1e-20);
    EXPECT_GT(block.att.modules[4].in.abs().max().item<double>(), 0.01);
  }
}

TEST_P(ExtendOnceTest, BeginsRandomModulesByTheSeedAndWithoutAParent) {
  ExtendCommand command = untrained(workspace_, NewModules::random);
  const ExtendReport a = run(command);
  command.into = "again";
  run(command);
  command.into = "other";
  command.options.seed = 5;
  run(command);
  const auto fresh = [&](const std::string& ref) { return workspace_.load(ref).model.blocks[0].mlp.modules[5]; };
  EXPECT_TRUE(fresh("base").in.equal(fresh("again").in));
  EXPECT_FALSE(fresh("base").in.equal(fresh("other").in));
  EXPECT_EQ(workspace_.registry().module(fresh("base").uid).copied_from, "");
  EXPECT_EQ(workspace_.registry().module(fresh("base").uid).born_command, "extend");
  EXPECT_EQ(workspace_.registry().module(fresh("base").uid).born_task, "german");
}

TEST_P(ExtendOnceTest, AddsToTheChosenLayersOnly) {
  ExtendCommand command = short_command(workspace_);
  command.layers = "1";
  const ExtendReport report = run(command);
  EXPECT_EQ(report.new_mlp, 2);
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(now.model.config.n_mlp(0), 5);
  EXPECT_EQ(now.model.config.n_mlp(1), 7);
  EXPECT_EQ(now.manifest.layers[0], base_.manifest.layers[0]);
  command.layers = "2";
  expect_error<UsageError>([&] { run(command); }, "--layers");
}

TEST_P(ExtendOnceTest, ReportsLossAndLeakOfEveryTask) {
  add_task("english");
  ExtendCommand command = short_command(workspace_);
  command.replay = 0.3;
  command.penalty = 0.5;
  command.review_steps = 2;
  const ExtendReport report = run(command);
  ASSERT_EQ(report.tasks.size(), 2U);
  for (const TaskChange& change : report.tasks) {
    EXPECT_TRUE(change.before.has_value() && change.after.has_value()) << change.task;
  }
  ASSERT_EQ(report.leak.size(), 1U);
  EXPECT_EQ(report.leak[0].task, "english");
  EXPECT_EQ(report.leak[0].rows.size(), 4U);
  const auto stats = workspace_.registry().routing_stats(report.version->hash, "english");
  const auto later = workspace_.registry().born_after(base_.record.hash, report.version->hash);
  EXPECT_EQ(later.size(), 6U);
  EXPECT_DOUBLE_EQ(report.leak[0].mean, mean_leak(router_leak(stats, later)));
  EXPECT_GE(report.use, 0.0);
}

TEST_P(ExtendOnceTest, TrainsRowsOfTokensThatOldTextHardlyHasOnlyWhenAskedTo) {
  add_task("english");
  ExtendCommand command = short_command(workspace_);
  command.token_rows = 3;
  const ExtendReport report = run(command);
  Session session = workspace_.session("inspect");
  const TaskData english = open_task(session, TinyWorkspace::tokenizer(), "english", "");
  const Model& before = base_.model;
  const Model after = workspace_.load().model;
  const at::Tensor rare = rare_tokens(before.config.vocab_size, {english}, 3);
  const auto count = rare.sum().item<std::int64_t>();
  ASSERT_GT(count, 0);
  ASSERT_LT(count, before.config.vocab_size);
  EXPECT_THROW(rare_tokens(100, {english}, 3), Error) << "a text with tokens that are none of the vocabulary";
  EXPECT_EQ(report.trainable.trunk, count * 16 * 2);
  for (const auto part : {&Model::wte, &Model::lm_head}) {
    const at::Tensor moved = (after.*part).ne(before.*part).any(1);
    EXPECT_TRUE(moved.any().item<bool>());
    EXPECT_FALSE(moved.logical_and(rare.logical_not()).any().item<bool>()) << "other rows keep their bits";
  }
  const LoadedVersion now = workspace_.load();
  EXPECT_TRUE(logits(masked_as_of(workspace_.registry(), now, "base@1")).equal(logits(base_.model)))
      << "a mask takes the rows back too";
}

TEST_P(ExtendOnceTest, PlacesNewRowsFromTheMemoryOfEarlierTasks) {
  const auto first_row = [&](const std::string& model, bool earlier) {
    if (earlier) add_task("english");
    ExtendCommand command = untrained(workspace_, NewModules::copy);
    command.into = model;
    run(command);
    return workspace_.load(model).model.blocks[0].mlp.modules[5].row;
  };
  EXPECT_FALSE(first_row("alone", false).equal(first_row("placed", true)));
}

/// The command as users give it: rehearsal where there is an earlier task.
ExtendCommand rehearsing(const TinyWorkspace& workspace) {
  ExtendCommand command = short_command(workspace);
  command.rehearse.reset();
  return command;
}

TEST_P(ExtendOnceTest, RehearsesByDefaultAndThenTrainsAllButTheOldModules) {
  add_task("english");
  const ExtendReport report = run(rehearsing(workspace_));
  const LoadedVersion now = workspace_.load();
  EXPECT_GT(report.trainable.trunk, 0);
  EXPECT_GT(report.trainable.router, 0);
  EXPECT_FALSE(now.model.wte.equal(base_.model.wte));
  for (std::size_t l = 0; l < now.model.blocks.size(); ++l) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      const auto &before = base_.manifest.layers[l].modules(kind), &after = now.manifest.layers[l].modules(kind);
      EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin())) << "old modules keep their objects";
    }
  }
  EXPECT_THAT(expect_error<NotAnExtension>([&] { masked_as_of(workspace_.registry(), now, "base@1"); }, "changed"),
              HasSubstr("base@1"));
}

TEST_P(ExtendOnceTest, RehearsalHoldsTheModelToWhatItWas) {
  add_task("english");
  const auto rise = [&](double weight) {
    ExtendCommand command = rehearsing(workspace_);
    command.into = "weight" + std::to_string(static_cast<int>(weight * 1000));
    command.rehearse_weight = weight;
    command.options.steps = 12;
    const ExtendReport report = run(command);
    return *report.tasks[0].after - *report.tasks[0].before;
  };
  EXPECT_LT(std::abs(rise(50)), 0.5 * std::abs(rise(0.001)));
}

TEST_P(ExtendOnceTest, RehearsalThatWasInterruptedGoesOnAsIfItHadNotBeen) {
  add_task("english");
  Session session = workspace_.session("extend");
  int steps = 0;
  session.watcher.progress = [&](const std::string& stage, std::int64_t, std::int64_t, double, double) {
    steps += stage == "extend" ? 1 : 0;
  };
  session.watcher.should_stop = [&] { return steps == 2; };
  EXPECT_THROW(extend(session, base_, rehearsing(workspace_)), TrainingInterrupted);
  EXPECT_EQ(run(rehearsing(workspace_)).training.first_step, 2);
  TinyWorkspace other(GetParam());
  other.add_task("english", other.corpus("english"));
  Session fresh = other.session("extend");
  extend(fresh, other.load(), rehearsing(other));
  EXPECT_TRUE(testing::same_bits(other.load().model, workspace_.load().model));
}

TEST_P(ExtendOnceTest, RefusesRehearsalWithoutOldText) {
  ExtendCommand command = short_command(workspace_);
  command.rehearse = 1;
  EXPECT_THAT(expect_error<Error>([&] { run(command); }, "earlier task"), HasSubstr("--rehearse 0"));
  EXPECT_EQ(workspace_.registry().versions("base").size(), 1U);
}

TEST_P(ExtendOnceTest, RefusesReplayWithoutAnEarlierTaskAndOptionsOutOfRange) {
  ExtendCommand command = short_command(workspace_);
  command.replay = 0.1;
  EXPECT_FALSE(expect_error<Error>([&] { run(command); }, "--replay needs an earlier task").empty());
  const auto refuse = [&](const std::string& option, const std::function<void(ExtendCommand&)>& change) {
    ExtendCommand bad = short_command(workspace_);
    change(bad);
    expect_error<UsageError>([&] { run(bad); }, option);
  };
  refuse("--experts", [](ExtendCommand& c) { c.experts = -1; });
  refuse("--heads", [](ExtendCommand& c) { c.experts = c.heads = 0; });
  refuse("--replay", [](ExtendCommand& c) { c.replay = 1.0; });
  refuse("--memory", [](ExtendCommand& c) { c.memory = 0; });
  refuse("--separation", [](ExtendCommand& c) { c.separation = -1; });
  refuse("--token-rows", [](ExtendCommand& c) { c.token_rows = -1; });
  refuse("--rehearse", [](ExtendCommand& c) { c.rehearse = -1; });
  refuse("--rehearse-weight", [](ExtendCommand& c) { c.rehearse_weight = 0; });
  refuse("--token-rows", [](ExtendCommand& c) { c.rehearse = 1, c.token_rows = 5; });
  refuse("--penalty", [](ExtendCommand& c) { c.penalty = -1; });
  refuse("--review-steps", [](ExtendCommand& c) { c.review_steps = -1; });
  EXPECT_EQ(workspace_.registry().versions("base").size(), 1U);
  EXPECT_THAT(expect_error<UsageError>([] { new_modules_from_string("copied"); }, "copied"), HasSubstr("unchanged"));
}

TEST_P(ExtendOnceTest, WritesNothingInADryRun) {
  ExtendCommand command = short_command(workspace_);
  command.dry_run = true;
  const ExtendReport report = run(command);
  EXPECT_FALSE(report.version.has_value());
  EXPECT_EQ(report.new_mlp, 4);
  EXPECT_TRUE(workspace_.registry().tasks().empty());
  EXPECT_EQ(workspace_.registry().operations().size(), 1U) << "the import";
}

TEST_P(ExtendOnceTest, GoesOnAfterAnInterruptionAsIfThereHadBeenNone) {
  Session session = workspace_.session("extend");
  int steps = 0;
  session.watcher.progress = [&](const std::string& stage, std::int64_t, std::int64_t, double, double) {
    steps += stage == "extend" ? 1 : 0;
  };
  session.watcher.should_stop = [&] { return steps == 2; };
  EXPECT_THROW(extend(session, base_, short_command(workspace_)), TrainingInterrupted);
  EXPECT_EQ(workspace_.registry().operations(1)[0].outcome, Outcome::interrupted);
  EXPECT_EQ(workspace_.registry().versions("base").size(), 1U);
  EXPECT_EQ(run().training.first_step, 2);
  TinyWorkspace other(GetParam());
  Session fresh = other.session("extend");
  extend(fresh, other.load(), short_command(other));
  EXPECT_TRUE(testing::same_bits(other.load().model, workspace_.load().model));
}

}  // namespace
}  // namespace mformer
