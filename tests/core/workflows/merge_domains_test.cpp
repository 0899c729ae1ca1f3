// Merged domains and frozen flags: every hypothesis of either branch is, bit for bit, what it was there.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/model/domains.h"
#include "core/workflows/merge.h"
#include "tests/core/workflows/merge_branches.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using testing::same_bits;
using testing::tiny_logits;

class MergeDomainsTest : public testing::MergeBranches {
 protected:
  Model view(const std::string& ref, const std::string& hypothesis) {
    return view_of(branches_.load(ref).model, hypothesis);
  }
  void expect_same(const std::string& ref, const std::string& hypothesis, const Model& expected) {
    const Model now = view(ref, hypothesis);
    EXPECT_TRUE(same_bits(now, expected)) << ref << ' ' << hypothesis;
    EXPECT_TRUE(tiny_logits(now).equal(tiny_logits(expected))) << ref << ' ' << hypothesis;
  }
};

TEST_F(MergeDomainsTest, HoldsEveryHypothesisOfBothBranchesBitForBit) {
  branches_.add_domain("base", "de", "german", 1);
  branches_.add_domain("base", "fr", "french", 2);
  const MergeReport report = run("de", "fr");
  EXPECT_EQ(report.domains, (std::vector<std::string>{"german", "french"}));
  EXPECT_EQ(hypotheses(branches_.load("de").model), (std::vector<std::string>{"base", "german", "french"}));
  expect_same("de", "base", branches_.load("base@1").model);
  expect_same("de", "german", view("de@1", "german"));
  expect_same("de", "french", view("fr@1", "french"));
  EXPECT_FALSE(same_bits(view("de", "german"), view("de", "french")));
  EXPECT_TRUE(branches_.registry().fsck().empty());
}

TEST_F(MergeDomainsTest, HidesWhatOneBranchAddedForEverybodyFromTheDomainsOfTheOther) {
  branches_.extend("base", "single", "german", 1);
  branches_.add_domain("base", "fr", "french", 2);
  MergeCommand command;
  command.into = "joined";
  run("single", "fr", command);
  expect_same("joined", "base", branches_.load("single").model);
  expect_same("joined", "french", view("fr", "french"));
  command.into = "other-way";
  run("fr", "single", command);
  expect_same("other-way", "base", branches_.load("single").model);
  expect_same("other-way", "french", view("fr", "french"));
}

TEST_F(MergeDomainsTest, ReviewsOnlyWhatIsThereForEverybody) {
  branches_.workspace().add_task("german", branches_.workspace().corpus("german"));
  branches_.extend("base", "single", "german", 1);
  branches_.add_domain("base", "fr", "french", 2);
  MergeCommand command;
  command.review_steps = 2;
  command.eval_tokens = 100;
  command.options.batch_size = 2;
  command.options.learning_rate = 1e-2;
  EXPECT_EQ(run("single", "fr", command).trainable.total(), 4 * 8);
  expect_same("single", "french", view("fr", "french"));
  const Model before = branches_.load("single@1").model, now = view("single@2", "base");
  EXPECT_FALSE(now.blocks[0].mlp.modules[5].row.equal(before.blocks[0].mlp.modules[5].row));
  branches_.add_domain("base", "de", "german", 3);
  expect_error<Error>([&] { run("de", "fr", command); }, "there is nothing to review");
}

TEST_F(MergeDomainsTest, RefusesTwoDomainsOfOneNameUnlessOneIsRenamed) {
  branches_.add_domain("base", "de", "german", 1);
  branches_.add_domain("base", "at", "german", 2);
  EXPECT_THAT(expect_error<UsageError>([&] { run("de", "at"); }, "both branches have a domain 'german'"),
              HasSubstr("--rename german=german-2"));
  MergeCommand command;
  command.rename = {{"german", "austrian"}};
  run("de", "at", command);
  expect_same("de", "german", view("de@1", "german"));
  expect_same("de", "austrian", view("at", "german"));
  command.rename = {{"german", "german"}};
  expect_error<UsageError>([&] { run("de@1", "at", command); }, "has a domain 'german' already");
  command.rename = {{"germa", "austrian"}};
  EXPECT_THAT(expect_error<UsageError>([&] { run("de@1", "at", command); }, "no domain 'germa'"), HasSubstr("german"));
}

TEST_F(MergeDomainsTest, MergesAgainWhatABranchAddedLater) {
  branches_.add_domain("base", "de", "german", 1);
  branches_.add_domain("base", "fr", "french", 2);
  run("de", "fr");
  branches_.add_domain("fr", "fr", "latin", 3);
  EXPECT_EQ(run("de", "fr").domains, (std::vector<std::string>{"german", "french", "latin"}));
  expect_same("de", "german", view("de@1", "german"));
  for (const char* name : {"french", "latin"}) expect_same("de", name, view("fr", name));
}

TEST_F(MergeDomainsTest, RefusesNamesThatAreNotFreeOrWantedTwice) {
  branches_.add_domain("base", "de", "german", 1);
  branches_.add_domain("de", "de", "french", 2);
  branches_.add_domain("base", "at", "german", 3);
  branches_.add_domain("at", "at", "swiss", 4);
  branches_.add_domain("at", "at", "german-2", 5);
  MergeCommand command;
  command.dry_run = true;
  const auto refuse = [&](const std::map<std::string, std::string>& rename, const std::string& what) {
    command.rename = rename;
    return expect_error<UsageError>([&] { run("de", "at", command); }, what);
  };
  EXPECT_THAT(refuse({}, "both branches have a domain 'german'"), HasSubstr("--rename german=german-3"));
  refuse({{"german", "x"}, {"swiss", "x"}}, "'german' and 'swiss' can't both become 'x'");
  refuse({{"german", "base"}}, "belongs to no domain");
  refuse({{"base", "x"}}, "no domain 'base'");
  refuse({{"german", "swiss"}}, "has a domain 'swiss' already");
  refuse({{"german", "french"}}, "both branches have a domain 'french'");
  command.rename = {{"german", "german-3"}};
  EXPECT_EQ(run("de", "at", command).domains.size(), 5U) << "what the hint said";
}

TEST_F(MergeDomainsTest, DoesNotGiveADomainOfTheAncestorASecondName) {
  branches_.add_domain("base", "base", "latin", 3);
  branches_.add_domain("base", "de", "german", 1);
  branches_.add_domain("base", "fr", "french", 2);
  MergeCommand command;
  command.rename = {{"latin", "latin-2"}};
  EXPECT_THAT(expect_error<UsageError>([&] { run("de", "fr", command); }, "is there already, as 'latin'"),
              HasSubstr("leave --rename latin=latin-2 out"));
  EXPECT_EQ(branches_.registry().versions("de").size(), 1U);
}

TEST_F(MergeDomainsTest, RefusesABranchThatChangedADomainOfTheAncestor) {
  branches_.add_domain("base", "base", "latin", 3);
  branches_.add_domain("base", "de", "german", 1);
  branches_.commit("base", "fr", "french",
                   [](Model& model) { model.domains[0].parts[1].value = model.domains[0].parts[1].value * 2; });
  EXPECT_THAT(expect_error<Error>([&] { run("de", "fr"); }, "the domain 'latin' changed between base@2"),
              HasSubstr("mformer diff base@2 fr@1"));
}

TEST_F(MergeDomainsTest, KnowsADomainAgainThatAnEarlierMergeRenamed) {
  branches_.add_domain("base", "de", "german", 1);
  branches_.add_domain("base", "at", "german", 2);
  MergeCommand command;
  command.rename = {{"german", "austrian"}};
  run("de", "at", command);
  branches_.add_domain("at", "at", "latin", 3);
  EXPECT_THAT(expect_error<UsageError>([&] { run("de", "at"); }, "is there already, as 'austrian'"),
              HasSubstr("--rename german=austrian"));
  EXPECT_EQ(run("de", "at", command).domains, (std::vector<std::string>{"german", "austrian", "latin"}));
  expect_same("de", "austrian", view("at", "german"));
}

TEST_F(MergeDomainsTest, KeepsADomainOfTheAncestor) {
  branches_.add_domain("base", "base", "latin", 3);
  branches_.add_domain("base", "de", "german", 1);
  branches_.add_domain("base", "fr", "french", 2);
  run("de", "fr");
  EXPECT_EQ(hypotheses(branches_.load("de").model).size(), 4U);
  expect_same("de", "latin", view("base", "latin"));
  expect_same("de", "french", view("fr", "french"));
}

using MergeFlagsTest = MergeDomainsTest;

TEST_F(MergeFlagsTest, TakesOverWhatEitherBranchFrozeOrUnfroze) {
  branches_.commit("base", "base", "english", [](Model& model) {
    for (const int i : {0, 1, 2}) model.blocks[0].mlp.modules[i].frozen = true;
  });
  branches_.extend("base", "de", "german", 1);
  branches_.extend("base", "fr", "french", 2);
  branches_.commit("de", "de", "german", [](Model& model) {
    for (const int i : {1, 5}) model.blocks[0].mlp.modules[i].frozen = false;
    model.blocks[0].mlp.modules[3].frozen = true;
  });
  branches_.commit("fr", "fr", "french", [](Model& model) {
    for (const int i : {2, 1}) model.blocks[0].mlp.modules[i].frozen = false;
    for (const int i : {4, 5}) model.blocks[0].mlp.modules[i].frozen = true;
  });
  EXPECT_EQ(run("de", "fr").frozen, 4);
  std::vector<bool> frozen;
  for (const Module& module : branches_.load("de").model.blocks[0].mlp.modules) frozen.push_back(module.frozen);
  // Untouched; unfrozen by both; unfrozen by the second; frozen by the first; frozen by the second; new ones of each.
  EXPECT_EQ(frozen, (std::vector<bool>{true, false, false, true, true, false, true}));
}

TEST_F(MergeFlagsTest, KeepsAFlagThatEitherBranchSetOnWhatAnEarlierMergeBrought) {
  branches_.extend("base", "de", "german", 1);
  branches_.extend("base", "fr", "french", 2);
  run("de", "fr");
  const auto freeze_last = [](Model& model) { model.blocks[1].att.modules.back().frozen = true; };
  branches_.commit("fr", "fr", "french", freeze_last);
  branches_.extend("fr", "fr", "french", 3);
  run("de", "fr");
  const auto& modules = branches_.load("de").model.blocks[1].att.modules;
  EXPECT_TRUE(modules[5].frozen) << "the module of the first merge";
  EXPECT_FALSE(modules[6].frozen);
}

}  // namespace
}  // namespace mformer
