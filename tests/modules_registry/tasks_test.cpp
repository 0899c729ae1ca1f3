#include <gmock/gmock.h>

#include <cmath>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TasksTest : public RegistryTest {
 protected:
  void SetUp() override {
    version_ = commit_now(registry_, new_model(registry_, "base", "x")).version.hash;
    registry_.add_task(example("qa", "hash 1"));
  }

  static TaskRecord example(std::string name, std::string content) {
    TaskRecord task;
    task.name = std::move(name);
    task.data_path = "/data/qa";
    task.content_hash = std::move(content);
    task.token_count = 1000;
    task.document_count = 10;
    task.heldout_rule = "hash mod 20 = 0";
    return task;
  }

  std::vector<RoutingStat> example_stats() const {
    std::vector<RoutingStat> stats;
    for (const ModuleRecord& module : registry_.modules(version_)) {
      const auto count = static_cast<std::int64_t>(stats.size());
      stats.push_back({module.layer, module.kind, module.uid, count, 0.25 * static_cast<double>(count), 1.5, 100});
    }
    return stats;
  }

  Score example_score(double value) const {
    Score score;
    score.version = version_;
    score.task = "qa";
    score.split = "heldout";
    score.metric = "loss";
    score.value = value;
    score.token_count = 50;
    return score;
  }

  std::string version_;
};

TEST_F(TasksTest, ATaskReadsBack) {
  const TaskRecord task = registry_.task("qa");
  EXPECT_EQ(task.data_path, "/data/qa");
  EXPECT_EQ(task.content_hash, "hash 1");
  EXPECT_EQ(task.token_count, 1000);
  EXPECT_EQ(task.document_count, 10);
  EXPECT_EQ(task.heldout_rule, "hash mod 20 = 0");
  EXPECT_GT(task.created_ms, 0);
  EXPECT_EQ(task.fields, "");
  EXPECT_EQ(task.left_out_files, std::nullopt) << "not counted is not none";
}

TEST_F(TasksTest, HowATaskIsReadAndWhatWasLeftOutReadBack) {
  TaskRecord task = example("chat", "hash 3");
  task.fields = "text=body";
  task.left_out_files = 0;
  task.left_out_records = 7;
  registry_.add_task(task);
  EXPECT_EQ(registry_.task("chat").fields, "text=body");
  EXPECT_EQ(registry_.task("chat").left_out_files, 0);
  EXPECT_EQ(registry_.tasks().back().left_out_records, 7);
}

TEST_F(TasksTest, AddingTheSameDataAgainChangesNothing) {
  registry_.put_score(example_score(1.0));
  TaskRecord again = example("qa", "hash 1");
  again.data_path = "/elsewhere";
  registry_.add_task(again, true);
  EXPECT_EQ(registry_.task("qa").data_path, "/data/qa");
  EXPECT_EQ(registry_.scores().size(), 1U);
}

TEST_F(TasksTest, OtherDataUnderTheSameNameIsRefusedUnlessReplaced) {
  registry_.put_score(example_score(1.0));
  registry_.put_routing_stats(version_, "qa", example_stats());
  EXPECT_THAT(error_of([&] { registry_.add_task(example("qa", "hash 2")); }),
              AllOf(HasSubstr("with other data"), HasSubstr("another name")));
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 1");
  EXPECT_EQ(registry_.scores().size(), 1U);

  registry_.add_task(example("qa", "hash 2"), true);
  EXPECT_EQ(registry_.task("qa").content_hash, "hash 2");
  EXPECT_THAT(registry_.scores(), IsEmpty()) << "they belonged to the old data";
  EXPECT_THAT(registry_.routing_stats(version_, "qa"), IsEmpty());
}

TEST_F(TasksTest, TasksComeInTheOrderOfAdding) {
  registry_.add_task(example("code", "hash 2"));
  ASSERT_EQ(registry_.tasks().size(), 2U);
  EXPECT_EQ(registry_.tasks()[0].name, "qa");
  EXPECT_EQ(registry_.tasks()[1].name, "code");
}

TEST_F(TasksTest, AnUnknownTaskNamesItsNeighbours) {
  EXPECT_THAT(error_of([&] { registry_.task("qaa"); }), HasSubstr("did you mean 'qa'?"));
  const TemporaryFolder folder;
  const Registry empty = Registry::create(folder.path());
  EXPECT_THAT(error_of([&] { empty.task("qa"); }), HasSubstr("mformer task add qa"));
  EXPECT_THROW(registry_.add_task(example("a,b", "h")), UsageError);
}

TEST_F(TasksTest, StatisticsReadBackInTheRoutersOrderAndAreReplacedWhole) {
  std::vector<RoutingStat> stats = example_stats();
  std::reverse(stats.begin(), stats.end());
  registry_.put_routing_stats(version_, "qa", stats);
  std::vector<RoutingStat> found = registry_.routing_stats(version_, "qa");
  ASSERT_EQ(found.size(), stats.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].slots, static_cast<std::int64_t>(i));
    EXPECT_EQ(found[i].gate_mass, 0.25 * static_cast<double>(i));
    EXPECT_EQ(found[i].weighted_output_norm, 1.5);
    EXPECT_EQ(found[i].tokens, 100);
  }
  stats.resize(1);
  registry_.put_routing_stats(version_, "qa", stats);
  EXPECT_EQ(registry_.routing_stats(version_, "qa").size(), 1U);
}

TEST_F(TasksTest, StatisticsOnOtherTokensStandBesideEachOtherAndTheLastComeFirst) {
  std::vector<RoutingStat> all = example_stats(), some = example_stats();
  for (RoutingStat& stat : some) stat.tokens = 50;
  registry_.put_routing_stats(version_, "qa", some, {"held_out", 50});
  registry_.put_routing_stats(version_, "qa", all, {"held_out", 0});
  const auto tokens = [&](const Measured& on) { return registry_.routing_stats(version_, "qa", on).at(0).tokens; };
  EXPECT_EQ(registry_.routing_stats(version_, "qa").at(0).tokens, 100);
  EXPECT_EQ(tokens({"held_out", 50}), 50);
  EXPECT_EQ(tokens({"held_out", 0}), 100);
  EXPECT_THAT(registry_.routing_stats(version_, "qa", {"train", 50}), IsEmpty());
  for (RoutingStat& stat : some) stat.tokens = 49;
  registry_.put_routing_stats(version_, "qa", some, {"held_out", 50});
  EXPECT_EQ(tokens({"held_out", 50}), 49);
  EXPECT_EQ(registry_.routing_stats(version_, "qa").at(0).tokens, 49) << "which is the last one now";
  EXPECT_THAT(registry_.fsck(), IsEmpty());
}

TEST_F(TasksTest, StatisticsThatMakeNoSenseChangeNothing) {
  registry_.put_routing_stats(version_, "qa", example_stats());
  std::vector<RoutingStat> bad = example_stats();
  bad.back().gate_mass = std::nan("");
  EXPECT_THAT(error_of([&] { registry_.put_routing_stats(version_, "qa", bad); }), HasSubstr("finite"));
  bad = example_stats();
  bad.back().module_uid = "stranger";
  EXPECT_THAT(error_of([&] { registry_.put_routing_stats(version_, "qa", bad); }), HasSubstr("stranger"));
  bad = example_stats();
  bad.back().layer = 0;
  EXPECT_THROW(registry_.put_routing_stats(version_, "qa", bad), Error);
  EXPECT_THROW(registry_.put_routing_stats("?", "qa", example_stats()), UsageError);
  EXPECT_THROW(registry_.put_routing_stats(version_, "?", example_stats()), UsageError);
  EXPECT_EQ(registry_.routing_stats(version_, "qa").size(), example_stats().size());
}

TEST_F(TasksTest, ScoresAreReplacedByKeyAndFiltered) {
  registry_.put_score(example_score(1.0));
  registry_.put_score(example_score(0.1));
  ASSERT_EQ(registry_.scores(version_, "qa").size(), 1U);
  EXPECT_EQ(registry_.scores(version_, "qa")[0].value, 0.1) << "bit for bit";
  registry_.add_task(example("code", "hash 2"));
  Score other = example_score(2.0);
  other.task = "code";
  registry_.put_score(other);
  EXPECT_EQ(registry_.scores().size(), 2U);
  EXPECT_EQ(registry_.scores(version_).size(), 2U);
  EXPECT_EQ(registry_.scores("", "code").size(), 1U);
  const std::string next = commit_now(registry_, next_commit(registry_, "base")).version.hash;
  EXPECT_THAT(registry_.scores(next), IsEmpty()) << "scores belong to a version";
}

TEST_F(TasksTest, ScoresOfOtherPartsAndTokensAreOthers) {
  for (const int part : {-1, 0, 1}) {
    for (const std::int64_t limit : {-1, 0, 100}) {
      Score score = example_score(part + static_cast<double>(limit));
      score.part = part, score.token_limit = limit;
      registry_.put_score(score);
    }
  }
  ASSERT_EQ(registry_.scores(version_, "qa").size(), 9U);
  for (const Score& score : registry_.scores()) {
    EXPECT_EQ(score.value, score.part + static_cast<double>(score.token_limit));
  }
}

TEST_F(TasksTest, AScoreMustBeFiniteAndOfSomethingKnown) {
  EXPECT_THAT(error_of([&] { registry_.put_score(example_score(INFINITY)); }), HasSubstr("finite"));
  Score score = example_score(1);
  score.task = "qaa";
  EXPECT_THAT(error_of([&] { registry_.put_score(score); }), HasSubstr("did you mean 'qa'?"));
  EXPECT_THAT(registry_.scores(), IsEmpty());
}

TEST_F(TasksTest, SettingsAreKept) {
  EXPECT_EQ(registry_.setting("key"), std::nullopt);
  registry_.set_setting("key", "one");
  registry_.set_setting("key", "");
  EXPECT_EQ(Registry::open(folder_.path(), OpenMode::read_only).setting("key"), "");
}

}  // namespace
}  // namespace mformer::testing
