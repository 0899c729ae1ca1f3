#include "cli/errors.h"

#include <exception>
#include <new>
#include <ostream>
#include <string>
#include <string_view>

#include "cli/interrupt.h"
#include "cli/made.h"
#include "cli/parse_errors.h"
#include "cli/terminal/report.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

int fail(std::ostream& err, int code, std::string_view what, std::string_view hint, std::string_view kind = "error") {
  err << kind << ": " << what << '\n';
  if (!hint.empty()) err << "hint: " << hint << '\n';
  err.flush();
  return code;
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
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
  return fail(err, exit_usage, message.what, message.hint);
}

int run(CLI::App& app, int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  try {
    app.parse(argc, argv);
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
    return fail(err, exit_done, done.what(), done.hint(), "note");
  } catch (const Interrupted& stop) {
    return fail(err, interrupt_exit_code(), stop.what(), stop.hint(), "interrupted");
  } catch (const StoppedError& stop) {
    return fail(err, interrupt_exit_code(), stop.what(), stop.hint(), "interrupted");
  } catch (const UsageError& error) {
    return fail(err, exit_usage, error.what(), error.hint());
  } catch (const Error& error) {
    return fail(err, exit_failed, error.what(), error.hint());
  } catch (const std::bad_alloc&) {
    return fail(err, exit_failed, "the memory of this machine is not enough",
                "try a smaller batch, a shorter context or a smaller model");
  } catch (const std::exception& error) {
    return fail(err, exit_failed, first_line(error.what()), "");
  } catch (...) {
    return fail(err, exit_failed, "something unknown was thrown", "");
  }
}

}  // namespace mformer::cli
