#include <gmock/gmock.h>

#include "names_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(NamesTest, ARenamedTaskKeepsItsScoresAndStatistics) {
  rename(Thing::task, "qa", "questions");
  EXPECT_THAT(tasks(), ElementsAre("questions"));
  ASSERT_EQ(registry_.scores(first_, "questions").size(), 1U);
  EXPECT_EQ(registry_.scores(first_, "questions")[0].value, 1.5);
  EXPECT_THROW(registry_.task("qa"), UsageError);
  undo();
  EXPECT_THAT(tasks(), ElementsAre("qa"));
  EXPECT_EQ(registry_.scores(first_, "qa").size(), 1U);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, ARemovedTaskIsOutOfSightUntilItIsTakenBackWithItsScores) {
  remove(Thing::task, "qa");
  EXPECT_THAT(tasks(), IsEmpty());
  EXPECT_FALSE(registry_.has_task("qa"));
  EXPECT_THAT(registry_.scores(), IsEmpty());
  EXPECT_THROW(registry_.task("qa"), UsageError);
  undo();
  EXPECT_THAT(tasks(), ElementsAre("qa"));
  EXPECT_EQ(registry_.scores(first_, "qa").at(0).value, 1.5) << "bit for bit";
  EXPECT_FALSE(registry_.last_name_change().has_value()) << "taken back once";
}

TEST_F(NamesTest, ReplacedDataComesBackWithItsScores) {
  add_task("qa", "hash 2", true);
  EXPECT_THAT(registry_.scores(), IsEmpty());
  score("qa", first_, 2.5);
  undo();
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 1");
  EXPECT_EQ(registry_.scores().at(0).value, 1.5);
  EXPECT_EQ(registry_.scores().size(), 1U) << "the replacement's are out of sight in their turn";
  EXPECT_EQ(registry_.gc(false, 0).tasks, 1);
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 1");
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, AMovedTaskGoesBackToItsPath) {
  registry_.move_task(begin("task move"), "qa", "/elsewhere/qa");
  EXPECT_EQ(registry_.task("qa").data_path, "/elsewhere/qa");
  undo();
  EXPECT_EQ(registry_.task("qa").data_path, "/data/qa");
}

TEST_F(NamesTest, ChangesAreTakenBackNewestFirst) {
  rename(Thing::task, "qa", "b");
  rename(Thing::task, "b", "c");
  remove(Thing::task, "c");
  for (const char* expected : {"c", "b", "qa"}) {
    undo();
    EXPECT_THAT(tasks(), ElementsAre(expected));
  }
  EXPECT_THAT(error_of([&] { registry_.take_back(begin("undo"), 3); }), HasSubstr("taken back already"));
}

TEST_F(NamesTest, WhatATaskWasCalledIsFollowedToItsNameNow) {
  const std::int64_t then = begin("train");
  registry_.finish_operation(then, Outcome::done);
  rename(Thing::task, "qa", "b");
  rename(Thing::task, "b", "c");
  add_task("qa", "hash 9");
  EXPECT_EQ(registry_.task_name_now("qa", then), "c");
  const std::int64_t later = begin("train");
  registry_.finish_operation(later, Outcome::done);
  EXPECT_EQ(registry_.task_name_now("qa", later), "qa");
  remove(Thing::task, "c");
  EXPECT_FALSE(registry_.has_task(registry_.task_name_now("qa", then)));
  undo();
  EXPECT_EQ(registry_.task_name_now("qa", then), "c");
}

TEST_F(NamesTest, ARenamedModelTakesItsVersionsAndStaysTheCurrentOne) {
  commit_now(registry_, next_commit(registry_, "base"));
  rename(Thing::model, "base", "english");
  EXPECT_EQ(registry_.current_model(), "english");
  EXPECT_EQ(to_string(registry_.resolve("")), "english@2");
  EXPECT_EQ(registry_.resolve("english@1").hash, first_);
  EXPECT_THROW(registry_.resolve("base@1"), UsageError);
  undo();
  EXPECT_EQ(to_string(registry_.resolve("")), "base@2");
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, ARemovedModelIsNamedByItsHashAloneAndComesBack) {
  const std::string second = second_model("tuned");
  remove(Thing::model, "tuned");
  EXPECT_THAT(models(), ElementsAre("base"));
  for (const char* ref : {"tuned", "tuned@1", "tuned (removed 6)"}) {
    EXPECT_THROW(registry_.resolve(ref), UsageError) << ref;
  }
  const VersionRecord version = registry_.resolve(second.substr(0, 12));
  EXPECT_TRUE(version.removed);
  EXPECT_EQ(version.model, "tuned");
  EXPECT_EQ(registry_.resolve(to_string(version)).hash, second) << "a reference that works";
  undo();
  EXPECT_THAT(models(), ElementsAre("base", "tuned"));
  EXPECT_EQ(registry_.resolve("tuned@1").hash, second);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, TheCurrentModelStays) {
  EXPECT_THAT(error_of([&] { remove(Thing::model, "base"); }), AllOf(HasSubstr("only model"), HasSubstr("init")));
  second_model("tuned");
  EXPECT_THAT(error_of([&] { remove(Thing::model, "base"); }), AllOf(HasSubstr("current"), HasSubstr("mformer use")));
  registry_.set_current_model("tuned");
  remove(Thing::model, "base");
  EXPECT_THAT(models(), ElementsAre("tuned"));
}

TEST_F(NamesTest, WhatARunningCommandUsesStaysAsItIs) {
  second_model("tuned");
  OperationStart start;
  start.command = "finetune";
  start.model = "tuned";
  start.data = {{"train", "qa", "/data/qa", "hash 1"}};
  const std::int64_t running = registry_.begin_operation(start);
  for (const auto& attempt : std::vector<std::function<void()>>{
           [&] { remove(Thing::model, "tuned"); }, [&] { rename(Thing::model, "tuned", "other"); },
           [&] { remove(Thing::task, "qa"); }, [&] { rename(Thing::task, "qa", "other"); }}) {
    EXPECT_THAT(error_of(attempt), HasSubstr("in use: finetune"));
  }
  registry_.finish_operation(running, Outcome::failed);
  rename(Thing::model, "tuned", "other");
  rename(Thing::task, "qa", "other");
}

TEST_F(NamesTest, ANameThatIsTakenOrCantBeOneIsRefused) {
  second_model("tuned");
  tag("release", first_);
  for (const char* taken : {"tuned", "release"}) {
    EXPECT_THAT(error_of([&] { rename(Thing::model, "base", taken); }), HasSubstr("already")) << taken;
    EXPECT_THAT(error_of([&] { tag(taken, first_); }), HasSubstr("already")) << taken;
  }
  EXPECT_THAT(error_of([&] { rename(Thing::model, "base", "a@1"); }), HasSubstr("can't be the name"));
  EXPECT_THAT(error_of([&] { rename(Thing::task, "qa", ""); }), HasSubstr("can't be the name"));
  EXPECT_THAT(error_of([&] { rename(Thing::task, "qaa", "b"); }), HasSubstr("did you mean 'qa'"));
  EXPECT_THAT(error_of([&] { remove(Thing::model, "tune"); }), HasSubstr("did you mean 'tuned'"));
  EXPECT_THAT(models(), ElementsAre("base", "tuned"));
}

TEST_F(NamesTest, ATakenBackNameMustBeFree) {
  remove(Thing::task, "qa");
  add_task("qa", "hash 2");
  EXPECT_THAT(error_of([&] { undo(); }), HasSubstr("'qa' already"));
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 2");
  rename(Thing::task, "qa", "other");
  undo();
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 2") << "the rename was newer";
}

TEST_F(NamesTest, ATagNeverMovesAndEveryReferenceUnderstandsIt) {
  tag("release", first_);
  commit_now(registry_, next_commit(registry_, "base"));
  EXPECT_EQ(registry_.resolve("release").hash, first_);
  EXPECT_EQ(registry_.tags().at(0).name, "release");
  EXPECT_THAT(error_of([&] { registry_.resolve("releas"); }), HasSubstr("did you mean 'release'"));
  EXPECT_THAT(error_of([&] { registry_.set_current_model("release"); }), HasSubstr("is a tag"));
  remove(Thing::tag, "release");
  EXPECT_THROW(registry_.resolve("release"), UsageError);
  undo();
  EXPECT_EQ(registry_.resolve("release").hash, first_);
  undo();
  EXPECT_THAT(registry_.tags(), IsEmpty()) << "and once more: as before it was made";
}

TEST_F(NamesTest, ANewModelCantHaveATagsName) {
  tag("release", first_);
  EXPECT_THAT(error_of([&] { begin("extend", "release"); }), HasSubstr("is a tag"));
}

TEST_F(NamesTest, UndoOfOneModelLeavesOtherNamesAlone) {
  second_model("tuned");
  rename(Thing::model, "tuned", "fine");
  rename(Thing::task, "qa", "b");
  undo("fine");
  EXPECT_THAT(models(), ElementsAre("base", "tuned"));
  EXPECT_THAT(tasks(), ElementsAre("b"));
  remove(Thing::model, "tuned");
  undo("tuned");
  EXPECT_THAT(models(), ElementsAre("base", "tuned"));
}

TEST_F(NamesTest, ACommandWhoseModelIsGoneByItsEndKeepsItsResult) {
  second_model("tuned");
  Commit commit = next_commit(registry_, "tuned");
  rename(Thing::model, "tuned", "fine");  // after the command read the model, before it began
  const CommitResult result = commit_now(registry_, commit);
  EXPECT_TRUE(result.kept_beside);
  EXPECT_EQ(to_string(result.version), "tuned@1");
  EXPECT_THAT(models(), ElementsAre("base", "fine", "tuned"));
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

}  // namespace
}  // namespace mformer::testing
