#include "cli/terminal/bars.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mformer::terminal {
namespace {

Style unicode_style() {
  Style style;
  style.unicode = true;
  return style;
}

TEST(BarsTest, FillsInEighths) {
  EXPECT_EQ(draw_bar(0.5, 4, unicode_style()), "██  ");
  EXPECT_EQ(draw_bar(0.375, 1, unicode_style()), "▍");
  EXPECT_EQ(draw_bar(1, 2, unicode_style()), "██");
}

TEST(BarsTest, FillsWholeCharactersInAscii) {
  EXPECT_EQ(draw_bar(0.5, 4, Style()), "##  ");
  EXPECT_EQ(draw_bar(0, 4, Style()), "    ");
}

TEST(BarsTest, ShowsTheSmallestShareAndClipsTheRest) {
  EXPECT_EQ(draw_bar(1e-9, 4, Style()), "#   ");
  EXPECT_EQ(draw_bar(7, 4, Style()), "####");
  EXPECT_EQ(draw_bar(-1, 4, Style()), "    ");
  EXPECT_EQ(draw_bar(std::nan(""), 4, Style()), "    ");
}

TEST(BarsTest, ChartIsAlignedAndFits) {
  Style style;
  style.width = 30;
  EXPECT_EQ(draw_bars({{"qa", 2, "20 %"}, {"english", 1, "10 %"}}, style),
            "qa       ###############  20 %\n"
            "english  ########         10 %\n");
}

TEST(BarsTest, LongLabelsLeaveRoomForTheBar) {
  Style style;
  style.width = 24;
  EXPECT_EQ(draw_bars({{"a-very-long-task-name", 1, "9 %"}}, style), "a-very...  ########  9 %\n");
}

TEST(BarsTest, NothingToShowIsEmptyBars) {
  EXPECT_EQ(draw_bars({{"a", 0, "0"}}, Style()).find('#'), std::string::npos);
}

}  // namespace
}  // namespace mformer::terminal
