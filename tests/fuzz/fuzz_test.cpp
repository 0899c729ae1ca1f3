// That fuzzing notices what it is there to notice.

#include "tests/fuzz/fuzz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/fuzz/mutator.h"

namespace mformer::fuzz {
namespace {

using ::testing::ElementsAre;

constexpr Reader kReads = {"reads", [](std::string_view) {}};
constexpr Reader kRefuses = {"refuses", [](std::string_view) { throw Error("'x' can't be read", "take another"); }};

TEST(Fuzz, AReaderThatReadsOrRefusesInASentenceKeepsTheRules) {
  const std::size_t before = inputs_read();
  run(kReads, "");
  run(kRefuses, "");
  EXPECT_EQ(inputs_read(), before + 1);
}

TEST(Fuzz, EveryOtherEndBreaksARule) {
  const Reader foreign = {"foreign", [](std::string_view) { throw std::runtime_error("oops"); }};
  const Reader endless = {"endless", [](std::string_view) { throw Error(std::string(5000, 'x')); }};
  const Reader control = {"control", [](std::string_view) { throw Error("a \x1b[31m name"); }};
  const Reader reversed = {"reversed", [](std::string_view) { throw Error("a name", "\u202e"); }};
  const Reader silent = {"silent", [](std::string_view) { throw Error(""); }};
  EXPECT_DEATH(run(foreign, ""), "only Errors leave a reader");
  EXPECT_DEATH(run(endless, ""), "no longer than a sentence");
  EXPECT_DEATH(run(control, ""), "one line of printable text");
  EXPECT_DEATH(run(reversed, ""), "one line of printable text");
  EXPECT_DEATH(run(silent, ""), "says something");
  EXPECT_DEATH(must_succeed("it goes back", []() -> int { throw Error("no"); }), "it goes back: no");
}

TEST(Fuzz, PartsOfAnInputBecomeFilesOfPlainNamesAlone) {
  const Scratch& scratch = Scratch::folder();
  write_parts("lost\n== a.json\n{}\n== ../b\nx\n== .hidden\nx\n== c\ntwo\nlines\n== d", scratch);
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(scratch.path())) names.push_back(file.path().filename());
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("a.json", "c"));
  EXPECT_EQ(std::filesystem::file_size(scratch.path() / "c"), std::string_view("two\nlines").size());
}

TEST(Mutator, MakesTheSameInputsOfTheSameSeedAndOthersOfAnother) {
  const std::vector<std::string> inputs = {"{\"a\": 12}", "second"}, words = {"null"};
  Mutator one(1, inputs, words), same(1, inputs, words), other(2, inputs, words);
  int differ = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string input = one.next(64);
    ASSERT_EQ(input, same.next(64));
    ASSERT_LE(input.size(), 64U);
    differ += input != other.next(64) ? 1 : 0;
  }
  EXPECT_GT(differ, 500);
}

TEST(Mutator, ReadsADictionaryAsLibFuzzerDoes) {
  EXPECT_THAT(read_dictionary("# \"none\"\n\"plain\"\nname=\"q\\\"\\\\\\x0aend\"\n\nbroken\"\n"),
              ElementsAre("plain", "q\"\\\nend"));
}

}  // namespace
}  // namespace mformer::fuzz
