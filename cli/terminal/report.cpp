#include "cli/terminal/report.h"

#include <cerrno>
#include <iostream>
#include <stdexcept>
#include <system_error>
#include <utility>

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
  if (json_) return;
  write_all(out_, printable_lines(text_.str(), style_.colour != Colour::none));
  text_.str("");
}

void Report::print_unchanged(std::string_view data) {
  if (json_) return;
  print_text_so_far();
  write_all(out_, data);
}

void Report::print() {
  if (!json_) {
    print_text_so_far();
    return;
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
