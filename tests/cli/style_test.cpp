#include "cli/terminal/style.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <string>

namespace mformer::terminal {
namespace {

// A pseudo terminal of 100 columns and an environment of its own.
class StyleTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG", "TERM", "COLORTERM", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"}) {
      const char* value = getenv(name);
      before_[name] = value == nullptr ? std::nullopt : std::optional<std::string>(value);
      unsetenv(name);
    }
    master_ = posix_openpt(O_RDWR | O_NOCTTY);
    ASSERT_GE(master_, 0);
    ASSERT_EQ(grantpt(master_), 0);
    ASSERT_EQ(unlockpt(master_), 0);
    terminal_ = open(ptsname(master_), O_RDWR | O_NOCTTY);
    ASSERT_GE(terminal_, 0);
    winsize size{};
    size.ws_col = 100;
    ioctl(terminal_, TIOCSWINSZ, &size);
    set("TERM", "xterm-256color");
    set("LANG", "C.UTF-8");
  }
  void TearDown() override {
    close(terminal_);
    close(master_);
    for (const auto& [name, value] : before_) {
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
    }
  }
  static void set(const char* name, const char* value) { setenv(name, value, 1); }

  int master_ = -1;
  int terminal_ = -1;
  std::map<std::string, std::optional<std::string>> before_;
};

TEST_F(StyleTest, ATerminalHasColourWidthAndUnicode) {
  const Style style = detect_style(terminal_);
  EXPECT_TRUE(style.terminal);
  EXPECT_EQ(style.colour, Colour::palette);
  EXPECT_TRUE(style.unicode);
  EXPECT_EQ(style.width, 100);
}

TEST_F(StyleTest, TrueColourIsAnnouncedByTheTerminal) {
  set("COLORTERM", "truecolor");
  EXPECT_EQ(detect_style(terminal_).colour, Colour::rgb);
}

TEST_F(StyleTest, NoColorSwitchesColourOffAndNothingElse) {
  set("COLORTERM", "truecolor");
  set("NO_COLOR", "1");
  const Style style = detect_style(terminal_);
  EXPECT_EQ(style.colour, Colour::none);
  EXPECT_TRUE(style.terminal);
  set("NO_COLOR", "");
  EXPECT_EQ(detect_style(terminal_).colour, Colour::rgb) << "an empty NO_COLOR does not count";
}

TEST_F(StyleTest, ColoursThatAreAskedForAreThereInAFileAndThoseThatAreNotAreNowhere) {
  const int file = open("/dev/null", O_WRONLY);
  set("CLICOLOR_FORCE", "1");
  EXPECT_EQ(detect_style(file).colour, Colour::palette);
  EXPECT_FALSE(detect_style(file).terminal) << "lines of a file are never redrawn";
  set("NO_COLOR", "1");
  EXPECT_EQ(detect_style(file).colour, Colour::none) << "who wants none is asked first";
  show_colours(ColourWhen::always);
  EXPECT_EQ(detect_style(file).colour, Colour::palette) << "the option is nearer than the environment";
  show_colours(ColourWhen::never);
  set("NO_COLOR", "");
  EXPECT_EQ(detect_style(terminal_).colour, Colour::none);
  show_colours(ColourWhen::automatic);
  set("CLICOLOR_FORCE", "0");
  EXPECT_EQ(detect_style(file).colour, Colour::none);
  close(file);
}

TEST_F(StyleTest, ADumbTerminalIsNotRedrawn) {
  set("TERM", "dumb");
  const Style style = detect_style(terminal_);
  EXPECT_FALSE(style.terminal);
  EXPECT_EQ(style.colour, Colour::none);
}

TEST_F(StyleTest, AFileIsPlain) {
  set("COLORTERM", "truecolor");
  const int file = open("/dev/null", O_WRONLY);
  const Style style = detect_style(file);
  close(file);
  EXPECT_FALSE(style.terminal);
  EXPECT_EQ(style.colour, Colour::none);
  EXPECT_EQ(style.width, 80);
}

TEST_F(StyleTest, TheFirstLocaleVariableDecidesOnUnicode) {
  set("LC_ALL", "C");
  EXPECT_FALSE(detect_style(terminal_).unicode);
  set("LC_ALL", "en_GB.utf8");
  EXPECT_TRUE(detect_style(terminal_).unicode);
}

TEST_F(StyleTest, ColumnsStandInForAnUnknownWidth) {
  winsize size{};
  ioctl(terminal_, TIOCSWINSZ, &size);
  EXPECT_EQ(detect_style(terminal_).width, 80);
  set("COLUMNS", "132");
  EXPECT_EQ(detect_style(terminal_).width, 132);
  set("COLUMNS", "3");
  EXPECT_EQ(detect_style(terminal_).width, 20);
}

TEST_F(StyleTest, ColoursAreWrittenAsTheTerminalUnderstands) {
  Style style;
  EXPECT_EQ(foreground({255, 0, 0}, style), "");
  EXPECT_EQ(bold("x", style), "x");
  style.colour = Colour::rgb;
  EXPECT_EQ(foreground({255, 128, 0}, style), "\x1b[38;2;255;128;0m");
  style.colour = Colour::palette;
  EXPECT_EQ(background({255, 0, 0}, style), "\x1b[48;5;196m");
  EXPECT_EQ(dim("x", style), "\x1b[2mx\x1b[0m");
}

}  // namespace
}  // namespace mformer::terminal
