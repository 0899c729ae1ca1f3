#pragma once

#include <exception>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>

#include "cli/terminal/style.h"

namespace mformer::terminal {

/// Whoever read our output stopped reading (`mformer log | head -1`). Not an error: the top level exits quietly.
class OutputClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "the reader of the output is gone"; }
};

/// Writes `text` and flushes. Throws OutputClosed when the other end of a pipe is closed, and Error with the reason
/// (a full disk, say) when the stream fails otherwise.
void write_all(std::ostream& out, std::string_view text);

/// The result of one command, once for machines and once for people; only one of them is printed.
///
///     Report report("models", global.json);
///     report.data()["models"] = nlohmann::ordered_json::array();
///     report.text() << table.str(report.style());
///     report.print();
///
/// On a terminal, lines of prose that are wider than it are wrapped between words, behind their label.
///
/// What names and files bring in can't speak to the terminal: of the text only line feeds, tabs and our own colours
/// pass, other control characters are shown escaped (text.h).
///
/// Where the style has a form for tables (--format), stdout gets the tables of the text alone.
///
/// With JSON, stdout gets exactly one object on one line, which begins {"version":1,"command":"models",…}.
/// Numbers that are not finite become null, bytes that are no UTF-8 become U+FFFD, and control characters, those beyond
/// ASCII and marks that reorder text among them, are written as JSON's \u escapes.
class Report {
 public:
  /// `command`: as the user typed it, "inspect routing". Prints to std::cout in its detected style.
  Report(std::string command, bool json);
  /// `out` is not owned and outlives the report.
  Report(std::string command, bool json, std::ostream& out, Style style);

  bool json() const { return json_; }
  const Style& style() const { return style_; }

  /// The fields of the JSON object after "version" and "command".
  nlohmann::ordered_json& data() { return data_; }

  /// The text for people; dropped with JSON. Nothing reaches stdout before print() or print_text_so_far().
  std::ostream& text() { return text_; }

  /// Prints the text collected so far, then `data` byte for byte, for what a pipe passes on. Does nothing with JSON.
  void print_unchanged(std::string_view data);

  /// Prints the text collected so far, for text that a reader watches as it comes. Does nothing with JSON.
  /// Throws as write_all.
  void print_text_so_far();

  /// Prints the object or the rest of the text. Call once, as the last act of the command. Throws as write_all, and
  /// std::logic_error when data() has a "version" or "command" of its own, and UsageError where tables are asked for
  /// and there is none.
  void print();

 private:
  void print_tables();

  std::string command_;
  bool json_;
  std::ostream& out_;
  Style style_;
  nlohmann::ordered_json data_ = nlohmann::ordered_json::object();
  std::ostringstream text_;
};

}  // namespace mformer::terminal
