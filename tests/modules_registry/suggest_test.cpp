#include "modules_registry/suggest.h"

#include <gmock/gmock.h>

#include "modules_registry/error.h"
#include "modules_registry/records.h"

namespace mformer::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<std::string> kCommands = {"extend", "export", "eval", "train", "tasks", "prune"};

TEST(SuggestTest, TheNearestWordComesFirst) {
  EXPECT_THAT(suggest("extnd", kCommands), ElementsAre("extend"));
  EXPECT_THAT(suggest("exporr", kCommands), ElementsAre("export"));
  EXPECT_THAT(suggest("tarin", kCommands), ElementsAre("train"));
  EXPECT_THAT(suggest("PRUNE", kCommands), ElementsAre("prune"));
}

TEST(SuggestTest, ABeginningCounts) {
  EXPECT_THAT(suggest("ex", kCommands), ElementsAre("extend", "export"));
}

TEST(SuggestTest, AStrangeWordHasNoNeighbours) {
  EXPECT_THAT(suggest("zzzzzzzz", kCommands), IsEmpty());
  EXPECT_THAT(suggest("", kCommands), IsEmpty());
  EXPECT_THAT(suggest("train", {}), IsEmpty());
}

TEST(SuggestTest, NoMoreThanTheLimitAreGiven) {
  EXPECT_EQ(suggest("ex", kCommands, 1).size(), 1U);
}

TEST(SuggestTest, TheHintNamesNeighboursOrElseWhatIsKnown) {
  const std::vector<std::string> names = {"base", "basic", "qa"};
  EXPECT_EQ(suggestion_hint("bas", names, "models", "none"), "did you mean 'base' or 'basic'?");
  EXPECT_EQ(suggestion_hint("zzzzz", names, "models", "none"), "known models: base, basic, qa");
  EXPECT_EQ(suggestion_hint("base", {}, "models", "make one first"), "make one first");
}

TEST(RecordsTest, KindsAndOutcomesReadBackFromTheirText) {
  for (const Kind kind : {Kind::att, Kind::mlp}) EXPECT_EQ(kind_from_string(to_string(kind)), kind);
  for (const Outcome outcome : {Outcome::running, Outcome::done, Outcome::failed, Outcome::interrupted}) {
    EXPECT_EQ(outcome_from_string(to_string(outcome)), outcome);
  }
  EXPECT_THROW(kind_from_string("moe"), UsageError);
  EXPECT_THROW(outcome_from_string("lost"), UsageError);
}

TEST(RecordsTest, NamesThatCouldBeMistakenForSomethingElseAreRefused) {
  for (const char* good : {"base", "base-2", "v1.0", "qa_de", "größe"})
    EXPECT_NO_THROW(require_valid_name("model", good));
  for (const char* bad : {"", "-x", ".x", "a@2", "a b", "a,b", "a/b", "share(qa)"}) {
    EXPECT_THROW(require_valid_name("model", bad), UsageError) << bad;
  }
  EXPECT_THROW(require_valid_name("task", std::string(101, 'x')), UsageError);
}

TEST(SuggestTest, NamesOfFilesTakeNoLongerAndShowNoMore) {
  const std::string megabyte(1 << 20, 'x');
  const std::vector<std::string> many(2000, megabyte);
  EXPECT_THAT(suggest(megabyte, many), IsEmpty());
  EXPECT_THAT(suggest("xx", many), IsEmpty()) << "though they begin so";
  EXPECT_LT(suggestion_hint(megabyte, many, "tensors", "").size(), 1000U);
  EXPECT_EQ(suggestion_hint("a.weighl", std::vector<std::string>{"a.weigh\x1b"}, "tensors", ""),
            "did you mean 'a.weigh\\x1b'?");
}

}  // namespace
}  // namespace mformer::testing
