// The little language that picks modules.

#include "core/workspace/selector.h"

#include <gtest/gtest.h>

#include "core/workspace/parse_range.h"
#include "tests/support/expect_error.h"
#include "tests/support/tiny_workspace.h"

namespace mformer {
namespace {

using testing::expect_error;
using ::testing::HasSubstr;

using Positions = std::vector<std::vector<std::int64_t>>;

class SelectorTest : public ::testing::Test {
 protected:
  SelectorTest() : base_(workspace_.load()) {}

  ModuleSelection select(const std::string& selector) {
    return select_modules(workspace_.registry(), base_.record.hash, base_.manifest, selector);
  }
  void expect(const std::string& selector, const Positions& att, const Positions& mlp) {
    const ModuleSelection selection = select(selector);
    EXPECT_EQ(selection.att, att) << selector;
    EXPECT_EQ(selection.mlp, mlp) << selector;
  }

  /// Task qa, whose slots in every bank of feed-forward modules are 50, 30, 15, 5, 0 of 100; attention shares alike.
  void record_statistics() {
    TaskRecord task;
    task.name = "qa";
    task.data_path = "/somewhere";
    task.content_hash = std::string(64, 'a');
    workspace_.registry().add_task(task);
    constexpr std::int64_t kSlots[] = {50, 30, 15, 5, 0};
    std::vector<RoutingStat> stats;
    for (std::size_t l = 0; l < 2; ++l) {
      for (const Kind kind : {Kind::att, Kind::mlp}) {
        const auto& modules = base_.manifest.layers[l].modules(kind);
        for (std::size_t i = 0; i < modules.size(); ++i) {
          stats.push_back({static_cast<int>(l), kind, modules[i].uid, kSlots[i], 0.5, 0.5, 50});
        }
      }
    }
    workspace_.registry().put_routing_stats(base_.record.hash, "qa", stats);
  }

  testing::TinyWorkspace workspace_;
  LoadedVersion base_;
};

TEST_F(SelectorTest, TakesEverything) {
  expect("all", {{0, 1, 2, 3}, {0, 1, 2, 3}}, {{0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}});
  EXPECT_EQ(count(select("all")), 18);
}

TEST_F(SelectorTest, TakesAKindALayerAnIndexAndTheirRanges) {
  expect("kind=mlp", {{}, {}}, {{0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}});
  expect("kind=att", {{0, 1, 2, 3}, {0, 1, 2, 3}}, {{}, {}});
  expect("layer=1", {{}, {0, 1, 2, 3}}, {{}, {0, 1, 2, 3, 4}});
  expect("layer=0-1,index=4", {{}, {}}, {{4}, {4}});
  expect("index=1-2", {{1, 2}, {1, 2}}, {{1, 2}, {1, 2}});
}

TEST_F(SelectorTest, WantsAllClausesToHold) {
  expect("kind=att,layer=0,index=2-9", {{2, 3}, {}}, {{}, {}});
  expect("  kind = att , layer = 0 ,index=0", {{0}, {}}, {{}, {}});
}

TEST_F(SelectorTest, TakesAModuleByTheBeginningOfItsUid) {
  const std::string uid = base_.manifest.layers[1].mlp[3].uid;
  expect("uid=" + uid, {{}, {}}, {{}, {3}});
  EXPECT_GE(count(select("uid=" + uid.substr(0, 2))), 1);
}

TEST_F(SelectorTest, TakesModulesByTheirBirth) {
  EXPECT_EQ(count(select("born=import")), 18);
  expect_error<Error>([&] { select("born=extend"); }, "selects no module");
  expect_error<Error>([&] { select("born=import:de"); }, "selects no module");
}

TEST_F(SelectorTest, TakesModulesByTheirFlag) {
  base_.manifest.layers[0].att[2].frozen = true;
  expect("frozen", {{2}, {}}, {{}, {}});
  EXPECT_EQ(count(select("unfrozen")), 17);
}

TEST_F(SelectorTest, ComparesShares) {
  record_statistics();
  expect("share(qa)>=0.3,kind=mlp", {{}, {}}, {{0, 1}, {0, 1}});
  expect("share(qa)>0.3,kind=mlp", {{}, {}}, {{0}, {0}});
  expect("share(qa)<=0.05,kind=mlp", {{}, {}}, {{3, 4}, {3, 4}});
  expect("share(qa) < 0.05", {{}, {}}, {{4}, {4}});
}

TEST_F(SelectorTest, TakesTheFewestModulesThatTogetherHaveAShare) {
  record_statistics();
  expect("top-share(qa)=0.5,kind=mlp", {{}, {}}, {{0}, {0}});
  expect("top-share(qa)=0.51,kind=mlp", {{}, {}}, {{0, 1}, {0, 1}});
  expect("top-share(qa)=0.95,kind=mlp", {{}, {}}, {{0, 1, 2}, {0, 1, 2}});
  expect("top-share(qa)=1,kind=mlp", {{}, {}}, {{0, 1, 2, 3}, {0, 1, 2, 3}});
}

TEST_F(SelectorTest, RefusesClausesThatCannotBeReadWithAHint) {
  record_statistics();
  const auto refuse = [&](const std::string& selector, const std::string& hint) {
    EXPECT_THAT(expect_error<UsageError>([&] { select(selector); }, "can't be read"), HasSubstr(hint)) << selector;
  };
  refuse("frozn", "frozen");
  refuse("kind=mpl", "att, mlp");
  refuse("kind=", "");
  refuse("layer=x", "0-3");
  refuse("layer=-1", "0-3");
  refuse("layer=3-1", "smaller to the larger");
  refuse("index=99999999999", "0-3");
  refuse("share(qa)>=1.5", "between 0 and 1");
  refuse("share(qa)>=nan", "between 0 and 1");
  refuse("share(qa)>=0.1x", "between 0 and 1");
  refuse("share(qa)=0.5", "");
  refuse("top-share(qa)=-1", "between 0 and 1");
  refuse("share()>0.1", "");
  refuse("", "for example");
  refuse("kind=mlp,", "for example");
  refuse(",kind=mlp", "for example");
}

TEST_F(SelectorTest, SaysWhatIsMissingWhenATaskHasNoStatistics) {
  expect_error<UsageError>([&] { select("share(qa)>0.1"); }, "qa");
  TaskRecord task;
  task.name = "qa";
  task.content_hash = std::string(64, 'a');
  workspace_.registry().add_task(task);
  const std::string hint = expect_error<Error>([&] { select("top-share(qa)=0.5"); }, "no routing statistics");
  EXPECT_THAT(hint, HasSubstr("mformer inspect routing --task qa"));
}

TEST_F(SelectorTest, RefusesASelectorThatSelectsNothing) {
  EXPECT_THAT(expect_error<Error>([&] { select("layer=7"); }, "selects no module"), HasSubstr("inspect modules"));
  expect_error<Error>([&] { select("frozen"); }, "selects no module");
}

TEST(ParseRange, ReadsNumbersRangesAndNothing) {
  EXPECT_EQ(parse_range("", 4, "--layers"), std::pair(std::int64_t{0}, std::int64_t{3}));
  EXPECT_EQ(parse_range("2", 4, "--layers"), std::pair(std::int64_t{2}, std::int64_t{2}));
  EXPECT_EQ(parse_range("1-3", 4, "--layers"), std::pair(std::int64_t{1}, std::int64_t{3}));
}

TEST(ParseRange, RefusesWhatIsNoRangeOrOutside) {
  for (const char* text : {"x", "1-", "-1", "1-2-3", "1 - 2", "9999999999"}) {
    EXPECT_FALSE(expect_error<UsageError>([&] { parse_range(text, 4, "--layers"); }, "--layers").empty());
  }
  expect_error<UsageError>([] { parse_range("4", 4, "--layers"); }, "does not lie within 0-3");
  expect_error<UsageError>([] { parse_range("2-1", 4, "--layers"); }, "does not lie within 0-3");
}

}  // namespace
}  // namespace mformer
