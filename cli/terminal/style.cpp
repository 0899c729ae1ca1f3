#include "cli/terminal/style.h"

#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace mformer::terminal {
namespace {

constexpr int narrowest = 20;
constexpr int usual_width = 80;

TableFormat chosen_tables = TableFormat::text;
ColourWhen chosen_colours = ColourWhen::automatic;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

// The first of the three that is set decides, as in setlocale().
bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view value = environment(name);
    if (value.empty()) continue;
    const size_t dot = value.find('.');
    if (dot == std::string_view::npos) return false;
    const std::string charset(value.substr(dot + 1));
    return strncasecmp(charset.c_str(), "utf-8", 5) == 0 || strncasecmp(charset.c_str(), "utf8", 4) == 0;
  }
  return false;
}

ColourWhen colours_wanted() {
  if (chosen_colours != ColourWhen::automatic) return chosen_colours;
  if (!environment("NO_COLOR").empty()) return ColourWhen::never;
  const std::string_view force = environment("CLICOLOR_FORCE");
  return force.empty() || force == "0" ? ColourWhen::automatic : ColourWhen::always;
}

Colour colour_of(bool terminal) {
  const ColourWhen when = colours_wanted();
  const std::string_view term = environment("TERM"), depth = environment("COLORTERM");
  const bool shows = terminal && !term.empty() && term != "dumb";
  if (when == ColourWhen::never || (when == ColourWhen::automatic && !shows)) return Colour::none;
  return depth == "truecolor" || depth == "24bit" ? Colour::rgb : Colour::palette;
}

int terminal_width(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return std::max<int>(size.ws_col, narrowest);
  const std::string_view columns = environment("COLUMNS");
  int width = 0;
  std::from_chars(columns.data(), columns.data() + columns.size(), width);
  return width > 0 ? std::max(width, narrowest) : usual_width;
}

// The 6x6x6 cube of the 256 colours has these levels.
int cube_level(unsigned char channel) {
  if (channel < 48) return 0;
  return channel < 115 ? 1 : (channel - 35) / 40;
}

std::string set_colour(int layer, Rgb colour, const Style& style) {
  if (style.colour == Colour::none) return "";
  std::string code = "\x1b[" + std::to_string(layer);
  if (style.colour == Colour::rgb) {
    code += ";2;" + std::to_string(colour.red) + ';' + std::to_string(colour.green) + ';' + std::to_string(colour.blue);
  } else {
    code += ";5;" +
            std::to_string(16 + 36 * cube_level(colour.red) + 6 * cube_level(colour.green) + cube_level(colour.blue));
  }
  return code + 'm';
}

std::string between(const char* start, std::string_view text, const Style& style) {
  if (style.colour == Colour::none) return std::string(text);
  return start + std::string(text) + reset(style);
}

}  // namespace

void show_colours(ColourWhen when) {
  chosen_colours = when;
}

void show_tables_as(TableFormat format) {
  chosen_tables = format;
}

Style detect_style(int fd) {
  Style style;
  if (fd == 1) style.tables = chosen_tables;
  style.unicode = locale_is_utf8();
  const bool terminal = isatty(fd) != 0;
  style.colour = colour_of(terminal);
  if (!terminal) return style;
  style.terminal = environment("TERM") != "dumb";
  style.width = terminal_width(fd);
  return style;
}

std::string foreground(Rgb colour, const Style& style) {
  return set_colour(38, colour, style);
}

std::string background(Rgb colour, const Style& style) {
  return set_colour(48, colour, style);
}

std::string bold(std::string_view text, const Style& style) {
  return between("\x1b[1m", text, style);
}

std::string dim(std::string_view text, const Style& style) {
  return between("\x1b[2m", text, style);
}

std::string reset(const Style& style) {
  return style.colour == Colour::none ? "" : "\x1b[0m";
}

}  // namespace mformer::terminal
