#include "cli/errors.h"

#include <exception>
#include <filesystem>
#include <new>
#include <ostream>
#include <string>
#include <string_view>

#include "cli/brackets.h"
#include "cli/interrupt.h"
#include "cli/made.h"
#include "cli/parse_errors.h"
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

int fail(std::ostream& err, int code, std::string_view what, std::string_view hint, std::string_view kind = "error") {
  err << kind << ": " << sentence(what) << '\n';
  if (!hint.empty()) err << "hint: " << sentence(hint) << '\n';
  err.flush();
  return code;
}

constexpr const char* kMemory = "the memory of this machine is not enough";
constexpr const char* kLessMemory = "try a smaller batch, a shorter context or a smaller model";
constexpr const char* kReport = "this is a fault of mformer: please report the command and what it was given";

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

/// What LibTorch throws when memory is short is no std::bad_alloc; everything else that comes here was not foreseen.
int explain_foreign(const std::exception& error, std::ostream& err) {
  const std::string_view what = first_line(error.what());
  if (what.find("DefaultCPUAllocator") != std::string_view::npos) return fail(err, exit_failed, kMemory, kLessMemory);
  if (what.find("out of memory") != std::string_view::npos) {
    return fail(err, exit_failed, "the memory of the device is not enough", kLessMemory);
  }
  return fail(err, exit_failed, "internal error: " + std::string(what), kReport);
}

bool asks_for_version(const CLI::Success& request) {
  return request.get_name() == "CallForVersion";
}

// The help of an unknown command would be the help of another.
bool asks_for_unknown(const CLI::App& app, const CLI::Success& request) {
  return !asks_for_version(request) && !app.remaining(true).empty();
}

int explain_usage(const CLI::App& app, const CLI::ParseError& error, std::ostream& err) {
  const UsageMessage message = explain(app, error);
  return fail(err, exit_usage, without_marks(message.what), without_marks(message.hint));
}

int run(CLI::App& app, int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  keep_brackets(app);
  try {
    app.parse(mark_brackets(argc, argv));
    return exit_done;
  } catch (const CLI::Success& request) {
    if (asks_for_unknown(app, request)) return explain_usage(app, request, err);
    terminal::write_all(out, asks_for_version(request) ? request.what() + std::string("\n") : app.help());
    return exit_done;
  } catch (const CLI::ParseError& error) {
    return explain_usage(app, error, err);
  }
}

}  // namespace

int run_guarded(CLI::App& app, int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  try {
    return run(app, argc, argv, out, err);
  } catch (const terminal::OutputClosed&) {
    return exit_done;
  } catch (const ReportCutOff& done) {
    return fail(err, exit_done, done.what(), in_same_workspace(app, done.hint()), "note");
  } catch (const Interrupted& stop) {
    return fail(err, interrupt_exit_code(), stop.what(), in_same_workspace(app, stop.hint()), "interrupted");
  } catch (const StoppedError& stop) {
    return fail(err, interrupt_exit_code(), stop.what(), in_same_workspace(app, stop.hint()), "interrupted");
  } catch (const UsageError& error) {
    return fail(err, exit_usage, error.what(), in_same_workspace(app, error.hint()));
  } catch (const Error& error) {
    return fail(err, exit_failed, error.what(), in_same_workspace(app, error.hint()));
  } catch (const std::bad_alloc&) {
    return fail(err, exit_failed, kMemory, kLessMemory);
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(err, exit_failed, "can't use '" + error.path1().string() + "': " + error.code().message(),
                "check the path, its permissions and the free space");
  } catch (const std::exception& error) {
    return explain_foreign(error, err);
  } catch (...) {
    return fail(err, exit_failed, "internal error: something unknown was thrown", kReport);
  }
}

}  // namespace mformer::cli
