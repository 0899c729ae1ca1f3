#pragma once

#include <string>
#include <string_view>

namespace mformer::terminal {

/// Spaces between two columns of a table or picture.
constexpr int column_gap = 2;

/// The colours that a stream can show.
enum class Colour {
  none,     ///< a pipe, a file, a dumb terminal, or NO_COLOR is set
  palette,  ///< the 256 indexed colours
  rgb,      ///< 24 bits
};

/// How tables are written: aligned for people, or for other programs.
enum class TableFormat { text, csv, markdown, latex };

/// When escape sequences for colours are written.
enum class ColourWhen {
  automatic,  ///< on a terminal that has them
  always,     ///< also into pipes and files, for a pager or a log that shows them
  never,
};

/// What the reader of a stream can show. Everything that prints takes one, so that tests choose their terminal.
/// The default is a file: no colour, no redrawing, ASCII, 80 columns.
struct Style {
  bool terminal = false;  ///< a person watches: lines may be redrawn, wide tables are fitted to `width`
  Colour colour = Colour::none;
  bool unicode = false;  ///< block characters and the like; ASCII stand-ins otherwise
  int width = 80;        ///< columns, at least 20
  TableFormat tables = TableFormat::text;
};

/// From now on detect_style(1) writes tables in this form (--format). Call before commands run.
void show_tables_as(TableFormat format);

/// From now on detect_style() goes by this (--color), whatever the environment says. Call before commands run.
void show_colours(ColourWhen when);

/// The style of the stream behind file descriptor `fd` (1 = stdout, 2 = stderr), from isatty, the window size and the
/// environment: NO_COLOR (not empty) and TERM=dumb switch colour off, COLORTERM=truecolor or 24bit allows 24 bits,
/// CLICOLOR_FORCE (not empty or 0) wants colour anywhere, LC_ALL, LC_CTYPE or LANG with UTF-8 allows Unicode, COLUMNS
/// is the width of a terminal that does not tell its own.
Style detect_style(int fd);

struct Rgb {
  unsigned char red, green, blue;
};

/// Escape sequences that set the colour of the characters or of their background; empty without colour.
std::string foreground(Rgb colour, const Style& style);
std::string background(Rgb colour, const Style& style);

/// `text` between escape sequences on a terminal with colour, `text` itself elsewhere.
std::string bold(std::string_view text, const Style& style);
std::string dim(std::string_view text, const Style& style);

/// Ends every colour and weight; empty without colour.
std::string reset(const Style& style);

}  // namespace mformer::terminal
