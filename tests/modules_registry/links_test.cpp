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

TEST_F(LinksTest, OperationsOfACommandAreAllThatRanIt) {
  commit_now(registry_, new_model(registry_, "base", "x"), "init");
  const std::int64_t merge = commit_now(registry_, next_commit(registry_, "base"), "merge").version.operation_id;
  commit_now(registry_, next_commit(registry_, "base"), "freeze");
  const std::int64_t last = commit_now(registry_, new_model(registry_, "gone", "y"), "merge").version.operation_id;
  EXPECT_THAT(registry_.operations_of("merge"), ElementsAre(merge, last));
  EXPECT_THAT(registry_.operations_of("merg"), IsEmpty());
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
