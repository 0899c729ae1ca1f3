// extend as it is by default: a domain of its own. A little longer than other files: all
// its tests use the domain that one fixture adds.

#include "core/surgery/domain_extension.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/model/domains.h"
#include "core/workflows/evaluate_tasks.h"
#include "core/workflows/extend.h"
#include "tests/support/expect_error.h"
#include "tests/support/short_extension.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::tiny_ids;
using testing::TinyWorkspace;

at::Tensor logits_of(const Model& model) {
  return logits_of(model, forward(model, tiny_ids(2, 20)).hidden);
}

class DomainExtensionTest : public ::testing::Test {
 protected:
  DomainExtensionTest() { workspace_.add_task("english", workspace_.corpus("english")); }

  ExtendCommand command(const std::string& task) const { return testing::short_extension(workspace_, task); }
  ExtendReport run(const ExtendCommand& command) {
    Session session = workspace_.session("extend");
    return extend(session, workspace_.load(), command);
  }

  TinyWorkspace workspace_;
  LoadedVersion base_ = workspace_.load();
};

TEST_F(DomainExtensionTest, LeavesTheBaseBitForBitAndItsObjectsWhereTheyWere) {
  const ExtendReport report = run(command("german"));
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(report.domain, "german");
  EXPECT_EQ(hypotheses(now.model), (std::vector<std::string>{"base", "german"}));
  EXPECT_TRUE(logits_of(view_of(now.model, "base")).equal(logits_of(base_.model)));
  EXPECT_TRUE(logits_of(masked_as_of(workspace_.registry(), now, "base@1")).equal(logits_of(base_.model)));
  for (const TrunkPart& part : base_.manifest.parts) {
    EXPECT_THAT(now.manifest.parts, ::testing::Contains(part));
  }
  EXPECT_TRUE(workspace_.registry().fsck().empty());
}

TEST_F(DomainExtensionTest, BeginsAsTheBaseWas) {
  ExtendCommand still = command("german");
  still.options.learning_rate = 1e-30;
  still.options.adamw.weight_decay = 0;
  run(still);
  const Model german = view_of(workspace_.load().model, "german");
  // The same modules in another order: only the order of sums differs.
  EXPECT_LE((logits_of(german) - logits_of(base_.model)).abs().max().item<double>(), 1e-4);
}

TEST_F(DomainExtensionTest, TrainsCopiesInTheOriginalsPlacesAndPrivatePartsOnly) {
  const ExtendReport report = run(command("german"));
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(report.new_att, 2);
  EXPECT_EQ(report.new_mlp, 4);
  for (const Block& block : now.model.blocks) {
    for (const Kind kind : {Kind::att, Kind::mlp}) {
      std::int64_t own = 0, hidden = 0;
      for (const Module& module : block.bank(kind).modules) {
        own += module.domain == "german" ? 1 : 0;
        hidden += module.hidden_from == std::vector<std::string>{"german"} ? 1 : 0;
        if (module.domain.empty()) continue;
        EXPECT_FALSE(workspace_.registry().module(module.uid).copied_from.empty());
      }
      EXPECT_EQ(own, kind == Kind::att ? 1 : 2);
      EXPECT_EQ(hidden, own);
    }
  }
  std::set<std::string> names;
  for (const PrivatePart& part : now.model.domains[0].parts) names.insert(part.name);
  for (const char* name : {"wte", "lm_head", "ln_f.weight", "h.0.ln_1.weight", "h.1.k_proj.weight",
                           "h.0.att.router.weight", "h.1.mlp.rows"}) {
    EXPECT_EQ(names.count(name), 1) << name;
  }
}

TEST_F(DomainExtensionTest, ChangesOnlyVocabularyRowsOfTokensThatItsTextHas) {
  run(command("german"));
  Session session = workspace_.session("extend");
  const TaskData task = open_task(session, TinyWorkspace::tokenizer(), "german", "");
  std::set<std::int64_t> used;
  for (const std::uint32_t token : task.tokens.train.tokens().all()) used.insert(token & TokenData::kIdMask);
  ASSERT_LT(used.size(), 300) << "every token is used: nothing is tested";
  const LoadedVersion now = workspace_.load();
  for (const PrivatePart& part : now.model.domains[0].parts) {
    if (!part.rows.defined()) continue;
    for (std::int64_t i = 0; i < part.rows.size(0); ++i) EXPECT_EQ(used.count(part.rows[i].item<std::int64_t>()), 1);
  }
}

TEST_F(DomainExtensionTest, ReportsARiseWithinItsBound) {
  const ExtendReport report = run(command("german"));
  ASSERT_EQ(report.tasks.size(), 2);
  for (const TaskChange& task : report.tasks) {
    ASSERT_TRUE(task.bound.has_value()) << task.task;
    EXPECT_LE(*task.after - *task.before, *task.bound) << task.task;
  }
  // From the registry's scores it is the same.
  Session session = workspace_.session("eval");
  const LoadedVersion now = workspace_.load();
  const TaskData english = open_task(session, TinyWorkspace::tokenizer(), "english", "");
  const auto again = scored(session, now.record.hash, now.model, english, 200);
  ASSERT_TRUE(again->posterior.has_value());
  EXPECT_EQ(again->posterior->shares.size(), 2);
  ASSERT_EQ(again->posterior->earlier.size(), 1);
  EXPECT_EQ(again->posterior->earlier[0].bound,
            evaluate_task(session, now.model, english, Split::held_out, 200)->posterior->earlier[0].bound);
}

TEST_F(DomainExtensionTest, TakesNoLossFromTheRegistryThatHasNoBoundsBesideIt) {
  run(command("german"));
  const std::string version = workspace_.load().record.hash;
  const auto keep = [&](const std::string& metric, double value, int part = -1) {
    workspace_.registry().put_score({version, "english", "held_out", metric, value, 150, 0, 0, 150, part});
  };
  const auto known = [&] { return known_score(workspace_.registry(), version, "english", 150); };
  EXPECT_FALSE(known().has_value());
  for (const auto* metric : {"loss", "documents", "observed"}) keep(metric, 1.0);
  keep("share", 1.0, 0), keep("share", 1.0, 1);
  EXPECT_FALSE(known().has_value()) << "hypotheses may have rested";
  keep("earlier", 0.5, 0), keep("bound", 0.6, 0);
  ASSERT_TRUE(known().has_value());
  EXPECT_EQ(known()->posterior->earlier[0].bound, 0.6);
}

TEST_F(DomainExtensionTest, BoundsASecondDomainAgainstTheModelWithTheFirst) {
  run(command("german"));
  const std::string first = workspace_.load().record.hash;
  const ExtendReport report = run(command("code"));
  for (const TaskChange& task : report.tasks) {
    ASSERT_TRUE(task.before && task.after && task.bound) << task.task;
    EXPECT_NEAR(*task.before, known_score(workspace_.registry(), first, task.task, 200)->loss, 1e-9) << task.task;
    EXPECT_LE(*task.after - *task.before, *task.bound) << task.task;
  }
}

TEST_F(DomainExtensionTest, AddsASecondDomainWithoutTouchingTheFirst) {
  run(command("german"));
  const at::Tensor german = logits_of(view_of(workspace_.load().model, "german"));
  run(command("code"));
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(hypotheses(now.model), (std::vector<std::string>{"base", "german", "code"}));
  EXPECT_TRUE(logits_of(view_of(now.model, "german")).equal(german));
  EXPECT_TRUE(logits_of(view_of(now.model, "base")).equal(logits_of(base_.model)));
  EXPECT_TRUE(logits_of(view_of(masked_as_of(workspace_.registry(), now, "base@2"), "german")).equal(german));
}

TEST_F(DomainExtensionTest, TakesAsManyModulesAsTheBudgetAllows) {
  ExtendCommand open = command("german");
  open.experts = open.heads = std::nullopt;
  open.budget = 0.6;  // routers, norms and rows of so tiny a model are half of it
  const ExtendReport report = run(open);
  const double added = static_cast<double>(report.size_after.weights - report.size_before.weights) /
                       static_cast<double>(report.size_before.weights);
  EXPECT_GT(report.new_att + report.new_mlp, 0);
  EXPECT_LE(added, 0.6);
  EXPECT_GT(added, 0.5);
}

TEST_F(DomainExtensionTest, NeverMakesADomainWithoutAModuleAndSaysWhatThatTakes) {
  ExtendCommand open = command("german");
  open.experts = open.heads = std::nullopt;
  open.dry_run = true;
  const ExtendReport expected = run(open);
  open.dry_run = false;
  const ExtendReport report = run(open);  // private parts of so tiny a model are more than the default budget
  EXPECT_EQ(report.new_att + report.new_mlp, 1);
  ASSERT_TRUE(report.budget.has_value());
  EXPECT_TRUE(expected.budget->exceeded()) << "a dry run knows";
  EXPECT_GT(expected.budget->private_parts, expected.budget->allowed);
  EXPECT_DOUBLE_EQ(report.budget->added, static_cast<double>(report.size_after.weights - report.size_before.weights) /
                                             static_cast<double>(report.size_before.weights));
  EXPECT_LE(report.budget->added, expected.budget->added) << "parts that four steps did not change are not kept";
  EXPECT_EQ(expected.new_att + expected.new_mlp, 1);
}

TEST_F(DomainExtensionTest, RefusesABudgetThatIsTooLittleAndNamesOneThatIsEnough) {
  ExtendCommand open = command("german");
  open.experts = open.heads = std::nullopt;
  open.budget = 0.3;
  const std::string hint = testing::expect_error<UsageError>([&] { run(open); }, "--budget 0.3 is too little");
  EXPECT_EQ(workspace_.registry().versions("base").size(), 1U);
  const std::string begin = "give --budget ";
  ASSERT_EQ(hint.find(begin), 0U) << hint;
  open.budget = std::stod(hint.substr(begin.size()));
  const ExtendReport report = run(open);
  EXPECT_EQ(report.new_att + report.new_mlp, 1);
  EXPECT_FALSE(report.budget->exceeded());
  open.experts = 5;  // more than the budget allows, with heads still open
  testing::expect_error<UsageError>([&] { run(open); }, "is too little");
  open.heads = 1;
  testing::expect_error<UsageError>([&] { run(open); }, "both numbers are given");
}

TEST(BudgetUse, NamesABudgetThatHasRoomForExactlyWhatIsAdded) {
  for (std::int64_t all = 1; all < 400; ++all) {
    for (std::int64_t added = 1; added <= all; ++added) {
      const double share = static_cast<double>(added) / static_cast<double>(all);
      ASSERT_GE(share_of(share, all), added) << added << " of " << all;
      ASSERT_FALSE((BudgetUse{share, share, 0}.exceeded()));
    }
  }
  EXPECT_EQ(share_of(0.29, 100), 29) << "0.29 is a little less than that";
  EXPECT_EQ(share_of(0.299, 100), 29);
  EXPECT_GT(share_of(1e300, 100), 0);
}

TEST_F(DomainExtensionTest, SaysByTheObjectsThatNothingOldChanged) {
  const ExtendReport report = run(command("german"));
  const VersionDiff& difference = report.difference.value();
  EXPECT_TRUE(difference.nothing_old_changed());
  EXPECT_TRUE(difference.trunk.empty());
  EXPECT_EQ(difference.same_trunk, static_cast<std::int64_t>(base_.manifest.parts.size()));
  EXPECT_EQ(difference.same_modules, 18);
  EXPECT_EQ(difference.routers.size(), 4U) << "they have rows for the new modules";
  EXPECT_TRUE(difference.old_routers.empty());
  ASSERT_EQ(difference.domains.size(), 1U);
  const LoadedVersion now = workspace_.load();
  EXPECT_EQ(difference.domains[0].domain, "german");
  EXPECT_EQ(difference.domains[0].added, static_cast<std::int64_t>(now.model.domains[0].parts.size()));
  EXPECT_GT(difference.domains[0].bytes, 0);
  EXPECT_LT(difference.domains[0].bytes, report.added_bytes);
}

TEST_F(DomainExtensionTest, TellsTheGainOfTheModulesFromThatOfThePrivateParts) {
  ExtendCommand both = command("german");
  both.options.steps = 8;
  const ExtendReport report = run(both);
  ASSERT_TRUE(report.gain.has_value());
  const auto change = std::find_if(report.tasks.begin(), report.tasks.end(),
                                   [](const TaskChange& task) { return task.task == "german"; });
  EXPECT_EQ(report.gain->before, *change->before);
  EXPECT_EQ(report.gain->after, *change->after);
  EXPECT_GT(report.gain->of_the_rest(), 0) << "embedding, head and norms learn at once";
  EXPECT_NE(report.gain->of_modules(), 0);
  EXPECT_FALSE(run([&] {
                 ExtendCommand dry = both;
                 dry.dry_run = true;
                 return dry;
               }())
                   .gain.has_value());
}

TEST_F(DomainExtensionTest, IsWithoutItsNewModulesTheParentWithWhatElseWasTrained) {
  Model tuned = clone(base_.model);
  const NewModulePlan plan = {{{0, Kind::mlp}, {3, 1}}, {{1, Kind::att}, {0}}};
  add_new_modules(tuned, plan, NewModules::copy, /*replace=*/true, 1);
  tuned.ln_f.weight.mul_(2);
  Model expected = base_.model;
  expected.ln_f.weight = tuned.ln_f.weight;
  EXPECT_TRUE(testing::same_bits(without_new_modules(base_.model, tuned, plan, /*replaced=*/true), expected));
  Model beside = clone(base_.model);
  add_new_modules(beside, plan, NewModules::random, /*replace=*/false, 1);
  EXPECT_TRUE(testing::same_bits(without_new_modules(base_.model, beside, plan, /*replaced=*/false), base_.model));
}

TEST_F(DomainExtensionTest, IsExportedAndImportedWhole) {
  run(command("german"));
  const Model model = workspace_.load().model;
  save_hub_model(workspace_.folder() / "out", model, {});
  const Model read = load_hub_model(open_hub_folder(workspace_.folder() / "out"));
  EXPECT_EQ(hypotheses(read), hypotheses(model));
  for (const std::string& name : hypotheses(model)) {
    EXPECT_TRUE(logits_of(view_of(read, name)).equal(logits_of(view_of(model, name)))) << name;
  }
}

TEST_F(DomainExtensionTest, GivesASecondDomainOfTheSameTaskAnotherName) {
  run(command("german"));
  EXPECT_EQ(run(command("german")).domain, "german-2");
}

TEST_F(DomainExtensionTest, RefusesWhatDoesNotGoTogether) {
  ExtendCommand replayed = command("german");
  replayed.replay = 0.1;
  EXPECT_THAT(testing::expect_error<UsageError>([&] { run(replayed); }, "--single-mask"),
              ::testing::HasSubstr("domain"));
  ExtendCommand many = command("german");
  many.experts = 6;
  testing::expect_error<UsageError>([&] { run(many); }, "has 5 mlp modules");
  run(command("german"));
  ExtendCommand shared = command("code");
  shared.single_mask = true;
  shared.rehearse = 0;
  testing::expect_error<Error>([&] { run(shared); }, "has domains");
  Session session = workspace_.session("train");
  PretrainCommand train;
  static_cast<TrainCommand&>(train) = command("code");
  testing::expect_error<Error>([&] { pretrain(session, workspace_.load(), train); }, "has domains");
}

}  // namespace
}  // namespace mformer
