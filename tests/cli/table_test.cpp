#include "cli/terminal/table.h"

#include <gtest/gtest.h>

#include <sstream>
#include <stdexcept>
#include <string>

#include "cli/terminal/text.h"

namespace mformer::terminal {
namespace {

Style terminal_of(int width) {
  Style style;
  style.terminal = true;
  style.width = width;
  return style;
}

TEST(TableTest, AlignsNumbersRightAndTextLeft) {
  Table table({{"task"}, {"loss"}, {"change"}});
  table.add_row({"qa", "3.2145", "+0.0003"});
  table.add_row({"english", "12.5", "n/a"});
  EXPECT_EQ(table.str(Style()),
            "task       loss   change\n"
            "-------  ------  -------\n"
            "qa       3.2145  +0.0003\n"
            "english    12.5      n/a\n");
}

TEST(TableTest, AlignsByColumnsNotBytes) {
  Table table({{"name"}, {"n"}});
  table.add_row({"模型", "1"});
  table.add_row({"Größe", "2"});
  EXPECT_EQ(table.str(Style()),
            "name   n\n"
            "-----  -\n"
            "模型   1\n"
            "Größe  2\n");
}

TEST(TableTest, OneWordMakesAColumnText) {
  Table table({{"version"}});
  table.add_row({"12"});
  table.add_row({"base@3"});
  EXPECT_EQ(table.str(Style()), "version\n-------\n12\nbase@3\n");
}

TEST(TableTest, AlignmentCanBeForced) {
  Table table({{"hash", Align::left}, {"who", Align::right}});
  table.add_row({"1234", "qa"});
  EXPECT_EQ(table.str(Style()), "hash  who\n----  ---\n1234   qa\n");
}

TEST(TableTest, RulesSeparateRows) {
  Table table({{"n"}});
  table.add_row({"1"});
  table.add_rule();
  table.add_row({"2"});
  EXPECT_EQ(table.str(Style()), "n\n-\n1\n-\n2\n");
}

TEST(TableTest, WrapsTextOnATerminalThatIsTooNarrow) {
  Table table({{"id"}, {"what"}});
  table.add_row({"7", "extend by eight modules for the domain german"});
  EXPECT_EQ(table.str(terminal_of(30)),
            "id  what\n"
            "--  --------------------------\n"
            " 7  extend by eight modules\n"
            "    for the domain german\n");
}

TEST(TableTest, NoLineIsWiderThanTheTerminal) {
  Table table({{"first"}, {"second"}, {"n"}});
  table.add_row({std::string(70, 'a'), std::string(60, 'b') + " tail", "123,456"});
  std::istringstream lines(table.str(terminal_of(60)));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), 60) << line;
}

TEST(TableTest, WordsStayWholeWhereTheyCan) {
  Table table({{"task"}, {"share"}, {"forgetting max-last"}, {"what was done"}});
  table.add_row({"german", "share(code)", "0.1", "extended by eight modules for code"});
  const std::string text = table.str(terminal_of(64));
  for (const char* word : {"share(code)", "forgetting", "extended", "modules"}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << " in\n" << text;
  }
}

TEST(TableTest, WhereColumnsCannotStandSideBySideEachRowIsABlock) {
  Table table({{"n"}, {"a long title"}, {"m"}});
  table.add_row({"1,000,000", "words that are wrapped", "2,000,000"});
  table.add_row({"3", "", "4"});
  EXPECT_EQ(table.str(terminal_of(24)),
            "n             1,000,000\n"
            "a long title  words that\n"
            "              are\n"
            "              wrapped\n"
            "m             2,000,000\n"
            "\n"
            "n             3\n"
            "a long title\n"
            "m             4\n");
}

TEST(TableTest, NeverWrapsInAFile) {
  Table table({{"what"}});
  table.add_row({std::string(200, 'x')});
  EXPECT_EQ(table.str(Style()), "what\n" + std::string(200, '-') + '\n' + std::string(200, 'x') + '\n');
}

TEST(TableTest, HeaderIsBoldOnlyWithColour) {
  Table table({{"n"}});
  Style style = terminal_of(80);
  EXPECT_EQ(table.str(style).find('\x1b'), std::string::npos);
  style.colour = Colour::palette;
  EXPECT_EQ(table.str(style), "\x1b[1mn\x1b[0m\n-\n");
}

TEST(TableTest, CellsCannotControlTheTerminal) {
  Table table({{"name"}});
  table.add_row({"a\x1b[2Jb\nc"});
  EXPECT_EQ(table.str(Style()), "name\n------------\na\\x1b[2Jb\\nc\n");
}

TEST(TableTest, RefusesARowOfTheWrongLength) {
  Table table({{"a"}, {"b"}});
  EXPECT_THROW(table.add_row({"1"}), std::logic_error);
  EXPECT_THROW(Table({}), std::logic_error);
}

}  // namespace
}  // namespace mformer::terminal
