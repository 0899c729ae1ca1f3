#include "cli/terminal/report.h"

#include <algorithm>
#include <cerrno>
#include <iostream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "cli/terminal/table_formats.h"
#include "cli/terminal/text.h"
#include "modules_registry/error.h"

namespace mformer::terminal {

void write_all(std::ostream& out, std::string_view text) {
  errno = 0;
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.flush();
  if (out.good()) return;
  const int reason = errno;
  if (reason == EPIPE) throw OutputClosed();
  const std::string why = reason == 0 ? "" : ": " + std::generic_category().message(reason);
  throw Error("cannot write the result to the standard output" + why,
              "check the disk, file or pipe that the output goes to");
}

Report::Report(std::string command, bool json) : Report(std::move(command), json, std::cout, detect_style(1)) {}

Report::Report(std::string command, bool json, std::ostream& out, Style style)
    : command_(std::move(command)), json_(json), out_(out), style_(style) {}

void Report::print_text_so_far() {
  if (json_ || style_.tables != TableFormat::text) return;
  write_all(out_, printable_lines(text_.str(), style_.colour != Colour::none));
  text_.str("");
}

void Report::print_unchanged(std::string_view data) {
  if (json_ || style_.tables != TableFormat::text) return;
  print_text_so_far();
  write_all(out_, data);
}

namespace {

/// What stands behind "label     " on the line begins here, so that its further lines begin there too.
std::size_t indent_of(std::string_view line, int width) {
  const std::size_t gap = line.find("  ");
  const std::size_t text = gap == std::string_view::npos ? gap : line.find_first_not_of(' ', gap);
  return text == std::string_view::npos || text > static_cast<std::size_t>(width) / 3 ? 0 : text;
}

/// Prose that is wider than the terminal, wrapped between words; what is drawn in colours has its own width.
std::string fitted(std::string_view text, int width) {
  std::string fitting;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (display_width(line) <= width || line.find('\x1b') != std::string_view::npos) {
      fitting.append(line) += '\n';
      continue;
    }
    const std::size_t indent = indent_of(line, width);
    std::string start(line.substr(0, indent));
    for (const std::string& piece : wrap(line.substr(indent), width - static_cast<int>(indent))) {
      fitting += start + piece + '\n';
      start.assign(indent, ' ');
    }
  }
  return fitting;
}

}  // namespace

void Report::print_tables() {
  const std::string tables = only_tables(text_.str());
  if (tables.empty()) {
    throw UsageError("'" + command_ + "' has no table to give here", "leave --format out, or take --json");
  }
  write_all(out_, tables);
}

void Report::print() {
  if (!json_ && style_.tables != TableFormat::text) return print_tables();
  if (!json_) {
    const std::string text = text_.str();
    if (style_.terminal && text.ends_with('\n')) text_.str(fitted(text, style_.width));
    return print_text_so_far();
  }
  nlohmann::ordered_json object = {{"version", 1}, {"command", command_}};
  for (const auto& [key, value] : data_.items()) {
    if (object.contains(key)) throw std::logic_error("the report field '" + key + "' is given twice");
    object[key] = value;
  }
  using Json = nlohmann::ordered_json;
  write_all(out_, json_without_controls(object.dump(-1, ' ', false, Json::error_handler_t::replace)) + '\n');
}

}  // namespace mformer::terminal
