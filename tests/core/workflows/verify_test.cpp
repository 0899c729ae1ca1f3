// Whether a version keeps what another could: what a gate lets pass, and what it does not.

#include "core/workflows/verify.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/model/domains.h"
#include "tests/core/workflows/branches.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;

class VerifyTest : public ::testing::Test {
 protected:
  VerifyTest() { branches_.workspace().add_task("german", branches_.workspace().corpus("german")); }

  VerifyReport check(const std::string& ref, const std::string& against, VerifyCommand command = {}) {
    Session session = branches_.workspace().session("verify");
    command.against = against;
    if (command.max_tokens == 0) command.max_tokens = 300;
    return verify(session, branches_.load(ref), command);
  }

  static VerifyCommand allowing(double rise) {
    VerifyCommand command;
    command.max_rise = rise;
    return command;
  }

  static VerifyCommand unchanged(double rise = 100) {
    VerifyCommand command = allowing(rise);
    command.unchanged = true;
    return command;
  }

  testing::Branches branches_;
};

TEST_F(VerifyTest, HoldsWithinTheBoundOfADomainThatCameAndSaysWhatIsTheSame) {
  branches_.add_domain("base", "base", "noise", 1);
  const VerifyReport report = check("base@2", "base@1");
  ASSERT_TRUE(report.holds()) << to_string(report);
  ASSERT_EQ(report.tasks.size(), 1U);
  ASSERT_TRUE(report.tasks[0].bound.has_value());
  EXPECT_EQ(report.tasks[0].limit, *report.tasks[0].bound);
  EXPECT_NE(report.tasks[0].rise(), 0);
  EXPECT_GT(report.tasks[0].tokens, 100);
  EXPECT_TRUE(report.objects.nothing_old_changed());
  EXPECT_EQ(report.as_of.bit_for_bit, true);
  EXPECT_GT(report.as_of.tokens, 0);
  EXPECT_THAT(to_string(report), HasSubstr("base@2 against base@1: 1 task, "));
  EXPECT_TRUE(check("base@2", "base@1", unchanged()).holds());
}

TEST_F(VerifyTest, BoundsASecondDomainAgainstTheModelWithTheFirst) {
  branches_.add_domain("base", "base", "noise", 1);
  branches_.add_domain("base", "base", "more", 2);
  const VerifyReport report = check("base@3", "base@2");
  EXPECT_TRUE(report.holds()) << to_string(report);
  EXPECT_TRUE(report.tasks[0].bound.has_value());
  EXPECT_EQ(report.as_of.bit_for_bit, true);
}

TEST_F(VerifyTest, FailsWhereALossRisesByMoreThanIsAllowed) {
  branches_.extend("base", "base", "noise", 1);  // for everybody, so that nothing bounds it
  const VerifyReport strict = check("base@1", "base@2", allowing(1e9));
  const double rise = check("base@2", "base@1", allowing(1e9)).tasks[0].rise();
  ASSERT_NE(rise, 0);
  EXPECT_FALSE(strict.tasks[0].bound.has_value());
  const std::string worse = rise > 0 ? "base@2" : "base@1", better = rise > 0 ? "base@1" : "base@2";
  EXPECT_TRUE(check(worse, better, allowing(std::abs(rise))).holds());
  const VerifyReport report = check(worse, better, allowing(std::abs(rise) * 0.999));
  ASSERT_FALSE(report.holds());
  EXPECT_THAT(to_string(report), HasSubstr("'german' rises by "));
  EXPECT_FALSE(check(worse, better).holds()) << "without a bound no rise is allowed";
  EXPECT_THAT(to_string(check(better, worse)), HasSubstr(": 1 task, no loss rises"));
}

TEST_F(VerifyTest, ComparesLogitsOnlyWhereAMaskBringsTheOlderOneBack) {
  branches_.extend("base", "base", "noise", 1);
  EXPECT_EQ(check("base@2", "base@1", unchanged()).as_of.bit_for_bit, true);
  const VerifyReport back = check("base@1", "base@2", allowing(100));
  EXPECT_FALSE(back.as_of.bit_for_bit.has_value());
  EXPECT_THAT(back.as_of.refusal, HasSubstr("is no ancestor"));
  EXPECT_TRUE(back.holds());
  EXPECT_FALSE(check("base@1", "base@2", unchanged()).holds());
}

TEST_F(VerifyTest, WithUnchangedFailsWhereAnOldModuleIsAnother) {
  branches_.commit("base", "base", "german", [](Model& model) { model.blocks[1].att.modules[2].in.add_(1e-6); });
  EXPECT_TRUE(check("base@2", "base@1", allowing(1)).holds());
  const VerifyReport report = check("base@2", "base@1", unchanged());
  ASSERT_FALSE(report.holds());
  EXPECT_THAT(to_string(report), HasSubstr("something that base@1 is made of changed, and 1 more"));
}

TEST_F(VerifyTest, FailsWhereTheSameObjectsComputeSomethingElse) {
  branches_.commit("base", "base", "german", [](Model& model) { model.config.k_mlp = 1; });
  const VerifyReport report = check("base@2", "base@1", allowing(100));
  EXPECT_TRUE(report.objects.nothing_old_changed());
  EXPECT_EQ(report.as_of.bit_for_bit, false);
  ASSERT_FALSE(report.holds());
  EXPECT_THAT(to_string(report), HasSubstr("masked as of base@1, its logits are not those"));
}

TEST_F(VerifyTest, LetsNoLossPassThatIsNotFinite) {
  branches_.commit("base", "base", "german",
                   [](Model& model) { model.ln_f.weight.fill_(std::numeric_limits<float>::quiet_NaN()); });
  for (const auto& [ref, against] : {std::pair{"base@2", "base@1"}, {"base@1", "base@2"}, {"base@2", "base@2"}}) {
    const VerifyReport report = check(ref, against, allowing(1e9));
    ASSERT_FALSE(report.holds()) << ref << " against " << against;
    EXPECT_THAT(to_string(report), HasSubstr("in base@2 is not a finite number"));
  }
  expect_error<UsageError>([&] { check("base@1", "base@1", allowing(std::numeric_limits<double>::quiet_NaN())); },
                           "--max-rise");
}

TEST_F(VerifyTest, OfAVersionAgainstItselfSaysThatItIsTheSame) {
  const VerifyReport report = check("base", "base@1", unchanged(0));
  EXPECT_TRUE(report.holds());
  EXPECT_TRUE(report.same_version);
  EXPECT_EQ(report.tasks[0].rise(), 0);
  EXPECT_THAT(to_string(report), HasSubstr("the same version"));
}

TEST_F(VerifyTest, PutsTheWorstFailureFirst) {
  branches_.workspace().add_task("english", branches_.workspace().corpus("english"));
  branches_.commit("base", "base", "x", [](Model& model) { model.ln_f.weight.mul_(-3); });
  const VerifyReport report = check("base@2", "base@1");
  ASSERT_EQ(report.failures.size(), 2U);
  EXPECT_THAT(report.failures[0], HasSubstr("'" + report.worst().task + "' rises by"));
}

TEST_F(VerifyTest, RefusesWhatItCannotMeasureInsteadOfLettingItPass) {
  VerifyCommand unknown;
  unknown.tasks = {"german", "nobody"};
  expect_error<UsageError>([&] { check("base", "base", unknown); }, "nobody");
  branches_.workspace().folder().write("short.jsonl", "{\"text\": \"one\"}\n");
  branches_.workspace().add_task("short", (branches_.workspace().folder() / "short.jsonl").string());
  EXPECT_EQ(check("base", "base").without_text, std::vector<std::string>{"short"});
  VerifyCommand named;
  named.tasks = {"short"};
  expect_error<Error>([&] { check("base", "base", named); }, "no held-out text");
  std::filesystem::remove(branches_.workspace().folder() / "german.jsonl");
  std::filesystem::remove_all(branches_.registry().folder() / "cache");
  expect_error<Error>([&] { check("base", "base"); }, "there is no data");
}

TEST_F(VerifyTest, RefusesWhereThereIsNoTask) {
  testing::Branches empty;
  Session session = empty.workspace().session("verify");
  VerifyCommand command;
  command.against = "base";
  expect_error<UsageError>([&] { verify(session, empty.load("base"), command); }, "no task with held-out text");
}

}  // namespace
}  // namespace mformer
