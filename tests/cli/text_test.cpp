#include "cli/terminal/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mformer::terminal {
namespace {

using testing::ElementsAre;

TEST(TextTest, WidthCountsColumnsNotBytes) {
  EXPECT_EQ(display_width(""), 0);
  EXPECT_EQ(display_width("qa"), 2);
  EXPECT_EQ(display_width("Größe"), 5);
  EXPECT_EQ(display_width("模型"), 4);
  EXPECT_EQ(display_width("🙂"), 2);
  EXPECT_EQ(display_width("e\u0301"), 1) << "a combining accent takes no column";
}

TEST(TextTest, ABrokenByteTakesOneColumn) {
  EXPECT_EQ(display_width("a\xFFz"), 3);
  EXPECT_EQ(display_width("\xE6\xA8"), 2) << "a sequence that ends too early";
  EXPECT_EQ(display_width("\xC0\xAF"), 2) << "an overlong sequence";
  EXPECT_EQ(display_width("\xE0\x80\xAF"), 3) << "a longer one";
  EXPECT_EQ(display_width("\xED\xA0\x80"), 3) << "half a surrogate pair";
}

TEST(TextTest, PrintableShowsWhatATerminalWouldObey) {
  EXPECT_EQ(printable("plain, Größe"), "plain, Größe");
  EXPECT_EQ(printable("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(printable("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(printable("\xFF"), "\\xff");
  EXPECT_EQ(printable("a\u202Eb"), "a\\u202eb") << "text that runs backwards";
}

TEST(TextTest, PrintableLinesKeepLinesAndOnlyOurOwnColours) {
  const std::string ours = "\x1b[1mbold\x1b[0m \x1b[2mdim\x1b[0m \x1b[38;5;201mpink\x1b[48;2;1;2;3mback\x1b[0m";
  EXPECT_EQ(printable_lines("a\n\tb\rc"), "a\n\tb\\rc");
  EXPECT_EQ(printable_lines(ours, true), ours);
  EXPECT_THAT(printable_lines(ours), testing::Not(testing::HasSubstr("\x1b")));
  for (const char* theirs :
       {"\x1b[2J", "\x1b[8m", "\x1b[1;8m", "\x1b]0;t\a", "\x1b[38;5;201", "\x1b[", "\x1b", "\x1b[0;0H",
        "\xC2\x9B"
        "2J",
        "\u202E", "\x7F", "\xFF"}) {
    const std::string shown = printable_lines(theirs, true);
    EXPECT_EQ(shown, printable(theirs));
    EXPECT_THAT(shown, testing::StartsWith("\\"));
  }
}

TEST(TextTest, JsonWithoutControlsSaysTheSame) {
  const std::string json = "{\"a\":\"\xC2\x9B\x7F\u202Eü\\u0007\"}";
  EXPECT_EQ(json_without_controls(json), "{\"a\":\"\\u009b\\u007f\\u202eü\\u0007\"}");
}

TEST(TextTest, ShortensInTheMiddleWithoutCuttingACharacter) {
  EXPECT_EQ(shorten_middle("short", 5), "short");
  const std::string text = "aüüüüüüüüüüüüüüüüüüüüüz";
  for (size_t bytes = 6; bytes < text.size(); ++bytes) {
    const std::string shown = shorten_middle(text, bytes);
    EXPECT_LE(shown.size(), bytes);
    EXPECT_EQ(printable(shown), shown);
  }
  EXPECT_EQ(shorten_middle("äöüäöüäöüäöü", 15), "äöü … ü");
}

TEST(TextTest, PadsToColumns) {
  EXPECT_EQ(pad_right("模", 4), "模  ");
  EXPECT_EQ(pad_left("ö", 3), "  ö");
  EXPECT_EQ(pad_left("longer", 3), "longer");
}

TEST(TextTest, ShortensWithoutCuttingACharacter) {
  EXPECT_EQ(shorten("base", 4, true), "base");
  EXPECT_EQ(shorten("base-model", 5, true), "base…");
  EXPECT_EQ(shorten("base-model", 5, false), "ba...");
  EXPECT_EQ(shorten("模型模型", 4, true), "模…");
  EXPECT_EQ(shorten("abcdef", 2, false), "ab");
}

TEST(TextTest, WrapsAtSpaces) {
  EXPECT_THAT(wrap("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap("one two three", 13), ElementsAre("one two three"));
  EXPECT_THAT(wrap("", 5), ElementsAre(""));
}

TEST(TextTest, BreaksAWordThatIsTooLong) {
  EXPECT_THAT(wrap("abcdefgh", 3), ElementsAre("abc", "def", "gh"));
  EXPECT_THAT(wrap("模型", 1), ElementsAre("模", "型")) << "a wide character in a narrow column must not loop";
}

TEST(TextTest, KeepsLineBreaks) {
  EXPECT_THAT(wrap("a\n\nb c", 2), ElementsAre("a", "", "b", "c"));
}

}  // namespace
}  // namespace mformer::terminal
