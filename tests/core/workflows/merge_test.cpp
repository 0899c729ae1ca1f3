// Two branches made one: what each was must still be there, bit for bit.

#include "core/workflows/merge.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/workflows/evaluate_tasks.h"
#include "core/training/even_mix.h"
#include "core/surgery/join.h"
#include "core/history/lineage.h"
#include "tests/core/workflows/merge_branches.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_data.h"

namespace mformer {
namespace {

using testing::Branches;
using testing::expect_error;
using ::testing::HasSubstr;
using testing::same_bits;
using testing::tiny_logits;

class MergeTest : public testing::MergeBranches {
 protected:
  /// The branches "de" and "fr" of base@1.
  void branch() {
    branches_.extend("base", "de", "german", 1);
    branches_.extend("base", "fr", "french", 2);
  }
  MergeCommand review(std::int64_t steps) const {
    MergeCommand command;
    command.review_steps = steps;
    command.eval_tokens = 200;
    command.options.batch_size = 2;
    command.options.learning_rate = 1e-2;
    return command;
  }
  void add_tasks() {
    for (const char* name : {"english", "german", "french"}) {
      const std::string corpus = name == std::string("french") ? "qa" : name;
      branches_.workspace().add_task(name, branches_.workspace().corpus(corpus));
    }
  }
};

TEST_F(MergeTest, KeepsTheModulesOfBothBehindTheAncestors) {
  branch();
  const MergeReport report = run("de", "fr");
  const LoadedVersion merged = branches_.load("de");
  EXPECT_EQ(to_string(*report.version), "de@2");
  EXPECT_EQ(to_string(report.ancestor), "base@1");
  EXPECT_EQ(report.from_a_att + report.from_b_att, 4);
  EXPECT_EQ(report.from_b_mlp, 2);
  EXPECT_EQ(merged.record.parent, branches_.load("de@1").record.hash);
  EXPECT_EQ(to_string(*merged_branch(branches_.registry(), merged.record)->version), "fr@1");
  const auto uids = [&](const std::string& ref, std::size_t layer) {
    std::vector<std::string> all;
    const LoadedVersion version = branches_.load(ref);
    for (const ManifestModule& module : version.manifest.layers[layer].mlp) all.push_back(module.uid);
    return all;
  };
  for (std::size_t l = 0; l < 2; ++l) {
    std::vector<std::string> expected = uids("de@1", l);
    expected.push_back(uids("fr@1", l).back());
    EXPECT_EQ(uids("de@2", l), expected);
  }
  EXPECT_EQ(merged.manifest.parts, branches_.load("base").manifest.parts);
  const ModuleRecord french = branches_.registry().module(uids("fr@1", 0).back());
  EXPECT_EQ(french.born_task, "french") << "a module keeps its identity";
  EXPECT_TRUE(branches_.registry().fsck().empty());
}

TEST_F(MergeTest, HoldsEachBranchAndTheAncestorBitForBitUnderTheirMasks) {
  branch();
  run("de", "fr");
  const LoadedVersion merged = branches_.load("de");
  for (const char* ref : {"base@1", "de@1", "fr@1"}) {
    const LoadedVersion part = branches_.load(ref);
    EXPECT_TRUE(same_bits(select(merged.model, born_by(merged.model, part.manifest)), part.model)) << ref;
  }
  EXPECT_TRUE(tiny_logits(masked_as_of(branches_.registry(), merged, "base@1"))
                  .equal(tiny_logits(branches_.load("base").model)));
  EXPECT_FALSE(tiny_logits(merged.model).equal(tiny_logits(branches_.load("de@1").model)));
}

TEST_F(MergeTest, StoresOnlyRoutersBeyondWhatTheBranchesHave) {
  branch();
  const MergeReport report = run("de", "fr");
  std::set<std::string> known;
  for (const char* ref : {"de@1", "fr@1"}) {
    for (const LayerManifest& layer : branches_.load(ref).manifest.layers) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        for (const ManifestModule& module : layer.modules(kind)) known.insert(module.object_hash);
      }
    }
  }
  for (const LayerManifest& layer : branches_.load("de").manifest.layers) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      for (const ManifestModule& module : layer.modules(kind)) EXPECT_EQ(known.count(module.object_hash), 1U);
    }
  }
  EXPECT_EQ(report.added_bytes, branches_.registry().added_bytes(report.version->hash));
}

TEST_F(MergeTest, MergesAgainWhatABranchAddedLater) {
  branch();
  run("de", "fr");
  branches_.extend("fr", "fr", "french", 3);
  const MergeReport report = run("de", "fr");
  EXPECT_EQ(to_string(report.ancestor), "base@1");
  EXPECT_EQ(report.from_b_mlp, 2) << "those of the first merge are there already";
  const LoadedVersion merged = branches_.load("de"), french = branches_.load("fr");
  EXPECT_TRUE(same_bits(select(merged.model, born_by(merged.model, french.manifest)), french.model));
}

TEST_F(MergeTest, TakesOverTheTasksOfTheSecondBranch) {
  add_tasks();
  branch();
  run("de", "fr");
  const VersionRecord merged = branches_.load("de").record;
  EXPECT_EQ(tasks_trained_by(branches_.registry(), merged), std::vector<std::string>{"french"});
  EXPECT_EQ(tasks_trained_until(branches_.registry(), merged), (std::vector<std::string>{"german", "french"}));
}

TEST_F(MergeTest, ReportsEveryTaskInTheAncestorInBothBranchesAndMerged) {
  add_tasks();
  branch();
  MergeCommand command;
  command.eval_tokens = 200;
  const MergeReport report = run("de", "fr", command);
  ASSERT_EQ(report.tasks.size(), 3U);
  Session session = branches_.workspace().session("eval");
  for (const MergedTask& row : report.tasks) {
    const TaskData task = open_task(session, testing::TinyWorkspace::tokenizer(), row.task, "");
    const auto loss = [&](const std::string& ref) {
      return evaluate_task(session, branches_.load(ref).model, task, Split::held_out, 200)->loss;
    };
    EXPECT_EQ(row.ancestor, loss("base@1")) << row.task;
    EXPECT_EQ(row.a, loss("de@1")) << row.task;
    EXPECT_EQ(row.b, loss("fr@1")) << row.task;
    EXPECT_EQ(row.merged, loss("de@2")) << row.task;
  }
}

TEST_F(MergeTest, ReviewsOnlyTheRouterRowsOfWhatTheBranchesAdded) {
  add_tasks();
  branch();
  MergeCommand plain;
  plain.into = "plain";
  run("de", "fr", plain);
  const MergeReport report = run("de", "fr", review(2));
  EXPECT_EQ(report.trainable.total(), 8 * 8) << "eight rows of the gating size";
  EXPECT_TRUE(report.review.has_value());
  const LoadedVersion before = branches_.load("plain"), after = branches_.load("de");
  EXPECT_EQ(after.manifest.parts, before.manifest.parts);
  for (std::size_t l = 0; l < 2; ++l) {
    EXPECT_EQ(after.manifest.layers[l].mlp, before.manifest.layers[l].mlp);
    const auto &old = before.model.blocks[l].mlp.modules, &now = after.model.blocks[l].mlp.modules;
    for (std::size_t i = 0; i < now.size(); ++i) EXPECT_EQ(now[i].row.equal(old[i].row), i < 5) << l << ' ' << i;
  }
}

TEST_F(MergeTest, GoesOnWithAReviewThatWasStoppedAsIfItHadNotBeen) {
  add_tasks();
  branch();
  MergeCommand whole = review(3);
  run("de", "fr", whole);
  const LoadedVersion expected = branches_.load("de");
  Session session = branches_.workspace().session("merge");
  session.arguments_json = "{}";
  int steps = 0;
  session.watcher.progress = [&](const std::string& stage, std::int64_t, std::int64_t, double, double) {
    steps += stage == "review" ? 1 : 0;
  };
  session.watcher.should_stop = [&] { return steps == 2; };
  const LoadedVersion a = branches_.load("de@1"), b = branches_.load("fr@1");
  whole.into = "again";
  EXPECT_THROW(merge(session, a, b, whole, branches_.registry()), TrainingInterrupted);
  session.watcher = {};
  EXPECT_EQ(merge(session, a, b, whole, branches_.registry()).review->first_step, 2);
  EXPECT_TRUE(same_bits(branches_.load("again").model, expected.model));
}

TEST_F(MergeTest, RefusesABranchThatChangedWhatTheAncestorHad) {
  branch();
  const auto refuse = [&](const std::string& what, const std::function<void(Model&)>& change) {
    branches_.commit("fr@1", "bad", "french", change);
    const std::string hint = expect_error<Error>([&] { run("de", "bad"); }, what);
    EXPECT_THAT(hint, HasSubstr("mformer diff base@1 bad@"));
  };
  refuse("the trunk's part 'h.1.ln_2' changed between base@1",
         [](Model& model) { model.blocks[1].ln_2.bias.add_(1e-3); });
  refuse("module h.1.att.2 (", [](Model& model) { model.blocks[1].att.modules[2].in.add_(1e-3); });
  refuse("the router h.0.mlp changed between base@1",
         [](Model& model) { model.blocks[0].mlp.modules[3].row.add_(1e-3); });
  refuse("the router h.1.att changed between base@1", [](Model& model) { model.blocks[1].att.router.bias.add_(1e-3); });
  refuse("was removed: the set of modules", [](Model& model) {
    ModuleSelection keep = all_modules(model);
    keep.mlp[0].erase(keep.mlp[0].begin());
    model = select(model, keep);
  });
  EXPECT_EQ(branches_.registry().versions("de").size(), 1U);
}

TEST_F(MergeTest, RefusesVersionsOfWhichOneComesFromTheOtherOrThatHaveNothingInCommon) {
  branch();
  EXPECT_THAT(expect_error<Error>([&] { run("base", "fr"); }, "nothing to merge: fr@1 has come from base@1"),
              HasSubstr("mformer use fr@1"));
  expect_error<Error>([&] { run("fr", "base"); }, "nothing to merge: fr@1");
  expect_error<Error>([&] { run("fr", "fr"); }, "nothing to merge");
  Session session = branches_.workspace().session("import");
  InitOptions options;
  options.from = (branches_.workspace().folder() / "imported").string();
  options.model = "other";
  init_model(session, options);
  expect_error<Error>([&] { run("de", "other"); }, "no version in common");
}

TEST_F(MergeTest, RefusesAReviewWithoutAnyText) {
  branch();
  expect_error<Error>([&] { run("de", "fr", review(2)); }, "a review needs training text");
  EXPECT_EQ(branches_.registry().versions("de").size(), 1U);
}

TEST_F(MergeTest, WritesNothingInADryRun) {
  branch();
  const std::size_t operations = branches_.registry().operations().size();
  MergeCommand command = review(2);
  command.dry_run = true;
  const MergeReport report = run("de", "fr", command);
  EXPECT_FALSE(report.version.has_value());
  EXPECT_EQ(report.from_b_mlp, 2);
  EXPECT_EQ(report.trainable.total(), 8 * 8);
  EXPECT_EQ(branches_.registry().operations().size(), operations);
}

TEST_F(MergeTest, TakesABranchFromACopyOfTheWorkspaceWithItsModulesIdentities) {
  add_tasks();
  const TemporaryFolder away;
  std::filesystem::copy(branches_.registry().folder(), away / ".mformer", std::filesystem::copy_options::recursive);
  branches_.extend("base", "base", "german", 1);
  const Registry other = [&] {
    Registry registry = Registry::open(away.path(), OpenMode::read_write);
    const LoadedVersion base = load_version(registry, registry.resolve("base"));
    Session session{registry, "extend", "{}", 1, "test", {}};
    Model model = clone(base.model);
    Branches::grow(model, 2);
    run_operation(session, "base", {{"train", "french", "there", "data"}},
                  [&](std::int64_t operation) { commit_model(session, operation, base, model, "", "french"); });
    return registry;
  }();
  const LoadedVersion there = load_version(other, other.resolve("base"));
  Session session = branches_.workspace().session("merge");
  session.arguments_json = R"({"b":"base@2","from":"there"})";
  const MergeReport report = merge(session, branches_.load("base"), there, {}, other);
  const LoadedVersion merged = branches_.load("base");
  EXPECT_EQ(to_string(report.ancestor), "base@1");
  EXPECT_TRUE(same_bits(select(merged.model, born_by(merged.model, there.manifest)), there.model));
  const ModuleRecord born = branches_.registry().module(merged.manifest.layers[0].mlp.back().uid);
  EXPECT_EQ(born.born_command + ":" + born.born_task, "extend:french");
  EXPECT_EQ(tasks_trained_by(branches_.registry(), merged.record), std::vector<std::string>{"french"});
  EXPECT_EQ(merged_branch(branches_.registry(), merged.record)->name, "base@2 of there");
  EXPECT_TRUE(branches_.registry().fsck().empty());
}

TEST(EvenMix, GivesEverySetTheSameNumberOfRowsWhateverItsSizeAndDependsOnTheStepAlone) {
  std::vector<PackedWindows> sets;
  for (const std::size_t tokens : {300U, 900U, 2000U}) {
    sets.push_back(testing::tiny_windows(tokens, 12, static_cast<unsigned>(tokens)));
  }
  const BatchSource batches = even_mix(sets, 7, 4);
  std::vector<int> rows(3, 0);
  for (std::int64_t step = 0; step < 6; ++step) {
    const Batch batch = batches(step);
    EXPECT_TRUE(batch.inputs.equal(even_mix(sets, 7, 4)(step).inputs));
    ASSERT_EQ(batch.lengths.size(), 4U);
    ASSERT_EQ(batch.starts.size(), 4U);
    for (std::int64_t row = 0; row < 4; ++row) {
      for (std::size_t s = 0; s < sets.size(); ++s) {
        bool found = false;
        for (std::int64_t i = 0; i < sets[s].size() && !found; ++i) {
          found = batch_of(sets[s], {i}).inputs[0].equal(batch.inputs[row]);
        }
        rows[s] += found ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(rows, (std::vector<int>{8, 8, 8}));
  EXPECT_FALSE(batches(0).inputs.equal(even_mix(sets, 8, 4)(0).inputs));
}

}  // namespace
}  // namespace mformer
