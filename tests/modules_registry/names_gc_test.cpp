// What gc frees of removed models and tasks, and what it keeps.

#include <gmock/gmock.h>

#include "names_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(NamesTest, GcFreesARemovedModelsOwnObjectsAndNoOthers) {
  const std::vector<std::string> before = registry_.objects().list();
  const std::string second = second_model("tuned");
  score("qa", second, 3.5);
  remove(Thing::model, "tuned");
  EXPECT_EQ(registry_.gc(false).versions, 0) << "younger than the grace";
  const GcResult planned = Registry::open(folder_.path(), OpenMode::read_only).gc(true, 0);
  const GcResult freed = registry_.gc(false, 0);
  EXPECT_EQ(freed.models, 1);
  EXPECT_EQ(freed.versions, 1);
  EXPECT_GT(freed.objects, 0);
  EXPECT_EQ(planned.objects, freed.objects);
  EXPECT_EQ(planned.bytes, freed.bytes);
  EXPECT_EQ(registry_.objects().list(), before);
  EXPECT_THROW(registry_.version(second), UsageError);
  EXPECT_EQ(registry_.scores().size(), 1U);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
  EXPECT_FALSE(registry_.last_name_change().has_value()) << "too late to take it back";
  EXPECT_EQ(registry_.gc(false, 0).versions, 0);
}

TEST_F(NamesTest, GcKeepsWhatALivingModelDescendsFrom) {
  const std::string second = second_model("tuned");
  registry_.set_current_model("tuned");
  remove(Thing::model, "base");
  EXPECT_EQ(registry_.gc(false, 0).versions, 0);
  EXPECT_TRUE(registry_.is_ancestor(first_, second));
  EXPECT_EQ(registry_.manifest(first_).layers.size(), 2U);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, GcKeepsWhatATagNames) {
  const std::string second = second_model("tuned");
  tag("keep", second);
  remove(Thing::model, "tuned");
  EXPECT_EQ(registry_.gc(false, 0).versions, 0);
  EXPECT_EQ(registry_.resolve("keep").hash, second);
  remove(Thing::tag, "keep");
  EXPECT_EQ(registry_.gc(false, 0).versions, 1);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, GcKeepsTheSecondBranchOfAMerge) {
  const std::string branch = second_model("branch");
  OperationStart start;
  start.command = "merge";
  start.arguments_json = R"({"a": "base@1", "b": "branch@1", "b_hash": ")" + branch + "\"}";
  start.model = "base";
  Commit merged = next_commit(registry_, "base");
  merged.manifest = registry_.manifest(branch);
  merged.operation_id = registry_.begin_operation(start);
  registry_.commit_version(merged);
  remove(Thing::model, "branch");
  EXPECT_EQ(registry_.gc(false, 0).versions, 0);
  EXPECT_EQ(registry_.version(branch).hash, branch) << "inspect lineage names it";
}

TEST_F(NamesTest, GcKeepsWeightsThatAnotherModelShares) {
  second_model("tuned");
  Commit twin = next_commit(registry_, "tuned");
  twin.model = "twin";
  twin.parent = twin.expected_current = "";
  const std::string kept = commit_now(registry_, twin).version.hash;
  remove(Thing::model, "tuned");
  const GcResult freed = registry_.gc(false, 0);
  EXPECT_EQ(freed.versions, 1);
  EXPECT_EQ(freed.objects, 0) << "the twin has all of them";
  EXPECT_EQ(registry_.modules(kept).size(), 12U);
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(NamesTest, WhatLedToAFreedNameIsNotTakenBackEither) {
  rename(Thing::task, "qa", "b");
  remove(Thing::task, "b");
  EXPECT_EQ(registry_.gc(false, 0).tasks, 1);
  EXPECT_FALSE(registry_.last_name_change().has_value()) << "an undo goes on with the model's versions";
}

TEST_F(NamesTest, GcFreesNothingWhileACommandRuns) {
  second_model("tuned");
  remove(Thing::model, "tuned");
  const std::int64_t running = begin("train", "base");
  const GcResult result = registry_.gc(false, 0);
  EXPECT_THAT(result.waits_for, HasSubstr("train"));
  EXPECT_EQ(result.versions, 0);
  registry_.finish_operation(running, Outcome::done);
  EXPECT_EQ(registry_.gc(false, 0).versions, 1);
}

}  // namespace
}  // namespace mformer::testing
