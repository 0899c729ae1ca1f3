#include <gmock/gmock.h>

#include "registry_fixture.h"

namespace mformer::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LinksTest : public RegistryTest {
 protected:
  std::int64_t begin(const std::string& command, const std::string& model) {
    OperationStart start;
    start.command = command;
    start.model = model;
    return registry_.begin_operation(start);
  }
};

TEST_F(LinksTest, TheyAreTheVersionsInTheirOrder) {
  commit_now(registry_, new_model(registry_, "base", "x"), "init");
  commit_now(registry_, next_commit(registry_, "base"), "freeze");
  commit_now(registry_, new_model(registry_, "gone", "y"), "merge");
  registry_.remove(begin("model remove", ""), Thing::model, "gone");
  const std::vector<VersionRecord> versions = registry_.all_versions();
  const std::vector<VersionLink> links = registry_.version_links();
  ASSERT_EQ(links.size(), versions.size());
  for (std::size_t i = 0; i < links.size(); ++i) {
    EXPECT_EQ(links[i].hash, versions[i].hash);
    EXPECT_EQ(links[i].parent, versions[i].parent);
    EXPECT_EQ(links[i].model, versions[i].model);
    EXPECT_EQ(links[i].operation_id, versions[i].operation_id);
    EXPECT_EQ(links[i].removed, versions[i].removed);
    EXPECT_EQ(links[i].merge, registry_.operation(versions[i].operation_id).command == "merge");
  }
  EXPECT_TRUE(links.back().removed && links.back().merge);
}

TEST_F(LinksTest, AMoveIsWhatPointsAModelToAVersionThatWasThere) {
  const std::string first = commit_now(registry_, new_model(registry_, "base", "x"), "init").version.hash;
  const std::string second = commit_now(registry_, next_commit(registry_, "base"), "freeze").version.hash;
  EXPECT_THAT(registry_.model_moves(), IsEmpty());
  const std::int64_t undo = begin("undo", "base");
  registry_.move_model(undo, "base", second, first);
  const std::vector<ModelMove> moves = registry_.model_moves();
  ASSERT_EQ(moves.size(), 1U);
  EXPECT_EQ(moves[0].operation_id, undo);
  EXPECT_THAT((std::vector{moves[0].command, moves[0].model, moves[0].before, moves[0].after}),
              ElementsAre("undo", "base", second, first));
}

}  // namespace
}  // namespace mformer::testing
