#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>

namespace mformer::cli {

/// Exit codes of the program. 130, 143 and 129 (interrupt.h): a stop by SIGINT, SIGTERM or SIGHUP.
enum ExitCode : int { exit_done = 0, exit_failed = 1, exit_usage = 2 };

/// Parses `argv`, which runs the chosen command's callback, and turns whatever is thrown into text and an exit code:
///
///     error: unknown command 'extnd'
///     hint: did you mean 'extend'?
///
/// - help and version: on `out`, 0. Wrong arguments and UsageError: 2. Interrupted: its own code (interrupt.h).
/// - Error, a lack of memory, and what the file system refuses: 1. Every other exception too, as an internal error of
///   which the first line is shown, since LibTorch appends a backtrace.
/// - A reader that closed the output (OutputClosed): 0, silently; other failures to write: 1, but 0 with a note where
///   the command has made what it was asked for (ReportCutOff).
/// A sentence and a hint have at most some 600 bytes each, without control characters (terminal/text.h).
/// Errors go to `err`, and `out` then stays empty; with --json among the arguments as one line:
///
///     {"version":1,"command":"extend","error":{"code":"usage","message":"…","hint":"…","exit_code":2}}
///
/// code: "usage", "failed", "no_space", "file", "memory", "interrupted" or "internal"; of ReportCutOff "note" stands
/// for "error", with the code "cut_off". Never throws.
/// `prepare` is called before the arguments are parsed; what it throws is told alike.
int run_guarded(CLI::App& app, int argc, const char* const* argv, std::ostream& out, std::ostream& err,
                const std::function<void()>& prepare = {});

}  // namespace mformer::cli
