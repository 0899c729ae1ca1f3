// Merged domains: every hypothesis of either branch is, bit for bit, what it was there.

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

TEST_F(MergeDomainsTest, KeepsADomainOfTheAncestor) {
  branches_.add_domain("base", "base", "latin", 3);
  branches_.add_domain("base", "de", "german", 1);
  branches_.add_domain("base", "fr", "french", 2);
  run("de", "fr");
  EXPECT_EQ(hypotheses(branches_.load("de").model).size(), 4U);
  expect_same("de", "latin", view("base", "latin"));
  expect_same("de", "french", view("fr", "french"));
}

}  // namespace
}  // namespace mformer
