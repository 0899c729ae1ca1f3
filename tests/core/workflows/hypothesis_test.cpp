// Which hypothesis of a model with domains a command works on when nobody says.

#include "core/workflows/hypothesis.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/model/domains.h"
#include "core/workflows/extend.h"
#include "core/workflows/finetune.h"
#include "core/workflows/keep_curve.h"
#include "core/workflows/prune.h"
#include "tests/core/workflows/branches.h"
#include "tests/support/expect_error.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;
using testing::same_bits;

class HypothesisTest : public ::testing::Test {
 protected:
  HypothesisTest() {
    branches_.workspace().add_task("german", branches_.workspace().corpus("german"));
    branches_.add_domain("base", "base", "noise", 1);
  }

  /// A further domain that has learned German, as the untrained base has not.
  void learn_german() {
    Session session = branches_.workspace().session("extend");
    ExtendCommand command;
    command.task = "german";
    command.experts = command.heads = 1;
    command.eval_tokens = 100;
    command.options.steps = 12;
    command.options.batch_size = 4;
    command.options.learning_rate = 2e-2;
    extend(session, branches_.load("base"), command);
  }

  HypothesisChoice choose(const std::string& domain = "", const std::string& ref = "base") {
    Session session = branches_.workspace().session("prune");
    const LoadedVersion version = branches_.load(ref);
    return choose_hypothesis(session, version, open_task(session, *version.tokenizer, "german", ""), domain);
  }

  FinetuneReport tune(const std::string& domain, const std::string& into) {
    Session session = branches_.workspace().session("finetune");
    session.watcher.message = [this](const std::string& text) { messages_ += text + "\n"; };
    FinetuneCommand command;
    command.task = "german";
    command.domain = domain;
    command.into = into;
    command.eval_tokens = 100;
    command.options.steps = 1;
    command.options.batch_size = 2;
    return finetune(session, branches_.load("base"), command);
  }

  testing::Branches branches_;
  std::string messages_;
};

TEST_F(HypothesisTest, IsTheOneThatThePosteriorGivesTheTasksText) {
  EXPECT_EQ(choose().name, "base") << "the domain is noise";
  learn_german();
  const HypothesisChoice choice = choose();
  EXPECT_EQ(choice.name, "german");
  EXPECT_EQ(choice.left_out, (std::vector<std::string>{"base", "noise"}));
  ASSERT_EQ(choice.shares.size(), 3U);
  EXPECT_EQ(choice.shares[2].first, "german");
  EXPECT_EQ(choice.share(), choice.shares[2].second);
  EXPECT_GT(choice.share(), 0.5);
  EXPECT_THAT(to_string(choice), HasSubstr("task german is read by 'german' ("));
}

TEST_F(HypothesisTest, IsAsNamedWithoutAskingThePosterior) {
  learn_german();
  const HypothesisChoice choice = choose("noise");
  EXPECT_EQ(choice.name, "noise");
  EXPECT_FALSE(choice.by_posterior());
  EXPECT_TRUE(choice.shares.empty());
  EXPECT_THAT(expect_error<UsageError>([&] { choose("germn"); }, "no domain 'germn'"), HasSubstr("german"));
}

TEST_F(HypothesisTest, IsNothingToChooseInAPlainVersion) {
  EXPECT_TRUE(choose("", "base@1").name.empty());
  EXPECT_TRUE(choose("base", "base@1").name.empty());
  expect_error<UsageError>([&] { choose("german", "base@1"); }, "no domain 'german'");
}

TEST_F(HypothesisTest, MakesWithoutDomainWhatItMakesWithIt) {
  learn_german();
  const FinetuneReport report = tune("", "chosen");
  tune("german", "named");
  EXPECT_FALSE(same_bits(branches_.load("chosen").model, branches_.load("base").model));
  EXPECT_TRUE(same_bits(branches_.load("chosen").model, branches_.load("named").model));
  EXPECT_EQ(report.hypothesis.name, "german");
  EXPECT_THAT(messages_, HasSubstr("working on it; --domain chooses another"));
  const OperationRecord operation = branches_.registry().operation(report.version->operation_id);
  EXPECT_EQ(nlohmann::json::parse(operation.arguments_json)["hypothesis"], "german") << "it decides the result";
}

TEST_F(HypothesisTest, OfADomainIsTunedInItsPlaceAndAllOthersStayBitForBit) {
  learn_german();
  const LoadedVersion before = branches_.load("base");
  EXPECT_TRUE(tune("german", "").in_place);
  const LoadedVersion after = branches_.load("base");
  EXPECT_EQ(hypotheses(after.model), hypotheses(before.model));
  for (const char* name : {"base", "noise"}) {
    EXPECT_TRUE(same_bits(view_of(after.model, name), view_of(before.model, name))) << name;
  }
  EXPECT_FALSE(same_bits(view_of(after.model, "german"), view_of(before.model, "german")));
  EXPECT_EQ(after.manifest.parts, before.manifest.parts);
}

TEST_F(HypothesisTest, IsAloneWhereModulesAreTrainedThatOthersShare) {
  EXPECT_FALSE(tune("base", "").in_place);
  EXPECT_TRUE(branches_.load("base").model.domains.empty());
  Session session = branches_.workspace().session("finetune");
  FinetuneCommand command;
  command.task = "german";
  command.domain = "noise";
  command.into = "all";
  command.modules = "all";
  command.eval_tokens = 100;
  command.options.steps = 1;
  const FinetuneReport report = finetune(session, branches_.load("base@2"), command);
  EXPECT_FALSE(report.in_place);
  EXPECT_EQ(report.hypothesis.left_out, std::vector<std::string>{"base"});
  EXPECT_TRUE(branches_.load("all").model.domains.empty());
}

TEST_F(HypothesisTest, IsChosenForPruningAndTheKeepCurveToo) {
  Session session = branches_.workspace().session("prune");
  PruneCommand command;
  command.task = "german";
  command.stat_tokens = command.eval_tokens = 100;
  const PruneReport report = prune(session, branches_.load("base"), command);
  EXPECT_EQ(report.hypothesis.name, "base");
  EXPECT_TRUE(branches_.load("base").model.domains.empty());
  KeepCurveCommand curve;
  curve.task = "german";
  curve.fractions = {0.5};
  curve.criteria = {Criterion::norm};
  curve.max_tokens = 100;
  EXPECT_EQ(keep_curve(session, branches_.load("base@2"), curve).hypothesis.name, "base");
}

TEST_F(HypothesisTest, OfATeacherIsTheOneThatReadsTheTask) {
  Session session = branches_.workspace().session("finetune");
  const TaskData task = open_task(session, testing::TinyWorkspace::tokenizer(), "german", "");
  TuneLoss loss;
  loss.distill = 1;
  loss.teacher = "base@2";
  const Teacher teacher = load_teacher(session, branches_.load("base@1"), task, loss);
  EXPECT_TRUE(same_bits(*teacher.model, view_of(branches_.load("base@2").model, "base")));
}

TEST_F(HypothesisTest, CannotBeChosenWithoutAnyText) {
  branches_.workspace().folder().write("empty.jsonl", "{\"text\": \"\"}\n");
  Session session = branches_.workspace().session("prune");
  PruneCommand command;
  command.data = (branches_.workspace().folder() / "empty.jsonl").string();
  command.criterion = Criterion::norm;
  try {
    prune(session, branches_.load("base"), command);
    ADD_FAILURE() << "nothing was refused";
  } catch (const Error& e) {
    EXPECT_FALSE(e.hint().empty());
  }
}

}  // namespace
}  // namespace mformer
