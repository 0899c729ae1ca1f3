// The little language that picks modules.

#include "core/workspace/selector.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/workspace/parse_range.h"
#include "core/workspace/selector_syntax.h"
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

TEST_F(SelectorTest, RefusesAnUnsetVariableInABirthRatherThanTakeAllOfTheCommand) {
  for (const char* selector : {"born=import:", "born=:qa", "born=:"}) {
    const std::string hint = expect_error<UsageError>([&] { select(selector); }, "can't be read");
    EXPECT_THAT(hint, HasSubstr("born=extend:de")) << selector;
  }
}

TEST_F(SelectorTest, ReadsTextOfAnyLengthAndShowsTheBeginningOfIt) {
  const std::string many(40'000, 'a');
  const auto shown = [&](const std::string& selector) {
    try {
      select(selector);
    } catch (const Error& e) {
      EXPECT_LT(std::string(e.what()).size() + e.hint().size(), 500U) << selector.substr(0, 20);
      return std::string(e.what());
    }
    return std::string("nothing was refused");
  };
  EXPECT_THAT(shown("uid=" + many), HasSubstr("selects no module"));
  EXPECT_THAT(shown("domain=" + many.substr(0, 100)), HasSubstr("has no domain"));
  for (const std::string& selector :
       {many, "domain=" + many, "born=extend:" + many, "share(" + many + ")>=0.1", "share(" + many,
        "top-share(" + many + ")" + many, "layer=" + std::string(40'000, '1'), "layer=1-" + std::string(40'000, '1'),
        "kind=" + many, many + "=1", "share(qa)>=0." + std::string(40'000, '1') + "x",
        "share(qa)" + std::string(40'000, '>') + "1", std::string(40'000, '='), std::string(40'000, '('),
        "uid=" + std::string(40'000, '\xc3')}) {
    EXPECT_THAT(shown(selector), HasSubstr("can't be read")) << selector.substr(0, 20);
  }
}

TEST_F(SelectorTest, TakesThousandsOfClauses) {
  record_statistics();
  std::string selector = "kind=mlp";
  for (int i = 0; i < 20'000; ++i) selector += i % 2 == 0 ? ",share(qa)>=0.3" : ",top-share(qa)=0.9,layer=0-1";
  expect(selector, {{}, {}}, {{0, 1}, {0, 1}});
}

TEST_F(SelectorTest, RefusesATypoBeforeItLooksAnythingUp) {
  expect_error<UsageError>([&] { select("share(nobody)>=0.1,kind=attn"); }, "'kind=attn' can't be read");
  EXPECT_THROW(read_selector("born=extend,frozn"), UsageError) << "without any registry";
}

TEST_F(SelectorTest, RefusesWhatATerminalWouldObey) {
  for (const char* selector : {"uid=\x1b[31m", "domain=a\x7f", "born=ex\ttend", "kind=mlp,\xff"}) {
    try {
      select(selector);
      ADD_FAILURE() << "nothing was refused";
    } catch (const UsageError& e) {
      const std::string text = e.what() + e.hint();
      EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; }))
          << text;
    }
  }
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
