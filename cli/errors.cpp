#include "cli/errors.h"

#include <exception>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/brackets.h"
#include "cli/interrupt.h"
#include "cli/made.h"
#include "cli/parse_errors.h"
#include "cli/processes.h"
#include "cli/same_workspace.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

/// Names and values of files can be long and hold escape sequences: neither may reach the terminal.
std::string sentence(std::string_view text) {
  constexpr std::size_t kLongest = 600;
  // Shortened twice, as what is escaped grows.
  return terminal::shorten_middle(terminal::printable(terminal::shorten_middle(text, kLongest)), kLongest);
}

/// Where and how what went wrong is told.
struct Listener {
  std::ostream& err;
  const CLI::App& app;
  bool json;
};

/// What went wrong; `code` names its kind in JSON, `kind` the line in text.
struct Failure {
  int exit_code = exit_failed;
  const char* code = "failed";
  std::string what, hint{};
  const char* kind = "error";
};

/// "inspect routing"; "" where no command was understood.
std::string command_of(const CLI::App& app) {
  std::string name;
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    name += (name.empty() ? "" : " ") + at->get_name();
  }
  return name;
}

std::string failure_json(const CLI::App& app, const Failure& failure) {
  using Json = nlohmann::ordered_json;
  const std::string command = command_of(app), hint = sentence(failure.hint);
  const Json told = {{"code", failure.code},
                     {"message", sentence(failure.what)},
                     {"hint", hint.empty() ? Json() : Json(hint)},
                     {"exit_code", failure.exit_code}};
  const Json object = {{"version", 1},
                       {"command", command.empty() ? Json() : Json(command)},
                       {failure.exit_code == exit_done ? "note" : "error", told}};
  return terminal::json_without_controls(object.dump(-1, ' ', false, Json::error_handler_t::replace));
}

int fail(const Listener& to, const Failure& failure) {
  if (to.json) {
    to.err << failure_json(to.app, failure) << '\n';
  } else {
    to.err << failure.kind << ": " << sentence(failure.what) << '\n';
    if (!failure.hint.empty()) to.err << "hint: " << sentence(failure.hint) << '\n';
  }
  to.err.flush();
  return failure.exit_code;
}

/// The same for what tells of commands to type.
int fail(const Listener& to, int exit_code, const char* code, const Error& error, const char* kind = "error") {
  return fail(to, {exit_code, code, error.what(), in_same_workspace(to.app, error.hint()), kind});
}

/// Asked of the words themselves, as the command line may be what is wrong.
bool asks_for_json(int argc, const char* const* argv) {
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    if (std::string_view(argv[i]) == "--json") return true;
  }
  return false;
}

constexpr const char* kMemory = "the memory of this machine is not enough";
constexpr const char* kLessMemory = "try a smaller batch, a shorter context or a smaller model";
constexpr const char* kReport = "this is a fault of mformer: please report the command and what it was given";

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

/// What LibTorch throws when memory is short is no std::bad_alloc; everything else that comes here was not foreseen.
int explain_foreign(const std::exception& error, const Listener& to) {
  const std::string_view what = first_line(error.what());
  if (what.find("DefaultCPUAllocator") != std::string_view::npos) {
    return fail(to, {exit_failed, "memory", kMemory, kLessMemory});
  }
  if (what.find("out of memory") != std::string_view::npos) {
    return fail(to, {exit_failed, "memory", "the memory of the device is not enough", kLessMemory});
  }
  return fail(to, {exit_failed, "internal", "internal error: " + std::string(what), kReport});
}

bool asks_for_version(const CLI::Success& request) {
  return request.get_name() == "CallForVersion";
}

// The help of an unknown command would be the help of another.
bool asks_for_unknown(const CLI::App& app, const CLI::Success& request) {
  return !asks_for_version(request) && !app.remaining(true).empty();
}

int explain_usage(const CLI::App& app, const CLI::ParseError& error, const Listener& to) {
  const UsageMessage message = explain(app, error);
  return fail(to, {exit_usage, "usage", without_marks(message.what), without_marks(message.hint)});
}

/// Whether it is the name of a command that only holds others.
bool is_group(const CLI::App& app, std::string_view name) {
  const auto groups = app.get_subcommands(
      [&](const CLI::App* one) { return one->get_name() == name && one->get_require_subcommand_min() > 0; });
  return !groups.empty();
}

/// `help [COMMAND…]` and `version` as the options of that meaning, and `inspect help [COMMAND]`; where a command is
/// expected, so nowhere else. What is no command itself has the help of the whole.
std::vector<const char*> plain_arguments(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<const char*> words(argv, argv + argc);
  if (argc < 2) return words;
  const std::string_view first = words[1], second = argc > 2 ? words[2] : "";
  if (first == "version") words[1] = "--version";
  const bool in_group = second == "help" && is_group(app, first);
  if (first != "help" && !in_group) return words;
  words.erase(words.begin() + (in_group ? 2 : 1));
  if (!in_group && argc == 3 && (second == "help" || second == "version")) words.pop_back();
  words.push_back("--help");
  return words;
}

int run(CLI::App& app, int argc, const char* const* argv, std::ostream& out, const Listener& to) {
  keep_brackets(app);
  try {
    const std::vector<const char*> words = plain_arguments(app, argc, argv);
    app.parse(mark_brackets(static_cast<int>(words.size()), words.data()));
    return exit_done;
  } catch (const CLI::Success& request) {
    if (asks_for_unknown(app, request)) return explain_usage(app, request, to);
    const bool all = request.get_name() == "CallForAllHelp";
    const auto mode = all ? CLI::AppFormatMode::All : CLI::AppFormatMode::Normal;
    terminal::write_all(out, asks_for_version(request) ? request.what() + std::string("\n") : app.help("", mode));
    return exit_done;
  } catch (const CLI::ParseError& error) {
    return explain_usage(app, error, to);
  }
}

}  // namespace

int run_guarded(CLI::App& app, int argc, const char* const* argv, std::ostream& out, std::ostream& err,
                const std::function<void()>& prepare) {
  const Listener to{err, app, asks_for_json(argc, argv)};
  try {
    if (prepare) prepare();
    return run(app, argc, argv, out, to);
  } catch (const terminal::OutputClosed&) {
    return exit_done;
  } catch (const NothingToDo&) {
    return exit_done;
  } catch (const ReportCutOff& done) {
    return fail(to, exit_done, "cut_off", done, "note");
  } catch (const Interrupted& stop) {
    return fail(to, interrupt_exit_code(), "interrupted", stop, "interrupted");
  } catch (const StoppedError& stop) {
    return fail(to, interrupt_exit_code(), "interrupted", stop, "interrupted");
  } catch (const UsageError& error) {
    return fail(to, exit_usage, "usage", error);
  } catch (const NoSpaceError& error) {
    return fail(to, exit_failed, "no_space", error);
  } catch (const Error& error) {
    return fail(to, exit_failed, "failed", error);
  } catch (const std::bad_alloc&) {
    return fail(to, {exit_failed, "memory", kMemory, kLessMemory});
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(to, {exit_failed, "file", "can't use '" + error.path1().string() + "': " + error.code().message(),
                     "check the path, its permissions and the free space"});
  } catch (const std::exception& error) {
    return explain_foreign(error, to);
  } catch (...) {
    return fail(to, {exit_failed, "internal", "internal error: something unknown was thrown", kReport});
  }
}

}  // namespace mformer::cli
