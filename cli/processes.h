#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace mformer::cli {

/// How this process was started: alone, or by a launcher (mpirun, srun) as one of several, numbered from 0. Commands
/// that are split over processes run in all of them (process_run.h); every other is the first one's alone. The first
/// one alone writes and prints, whatever the command.
struct Launch {
  int rank = 0, size = 1;
  int beside = 1;  ///< How many of them are on this machine, this one included.
  bool is_follower() const { return rank > 0; }
};

/// By the environment, which is read once. A variable without its counterpart, or that is no number, says nothing.
const Launch& launch();

/// The same of any environment; for launch(), and tests.
Launch launch_of(const std::function<const char*(const char*)>& variable);

/// Whether a command ("inspect routing") is split over processes, unless one of its options makes it the first one's.
bool is_shared_by_processes(const std::string& command);

/// Whether this process is one of several that do together what its command line asks for. Known from the moment on at
/// which that is understood.
bool works_with_others();

/// Thrown where there is nothing to do for this process; it exits with 0.
struct NothingToDo {};

/// Once the command line is understood, decides works_with_others(), and makes a follower end quietly where it is the
/// first process' alone.
void leave_to_the_first(CLI::App& app);

/// What a follower writes to stdout goes nowhere.
void silence_follower();

/// `text` is what a follower said of its failure. It is told, with the process' number, unless the first process has
/// failed as well meanwhile, of which the launcher tells us by a signal.
void tell_failure_of_follower(const std::string& text);

/// What is to be done at the end of the program, which has no destructors (main.cpp); gets the exit code.
void at_end(std::function<void(int)> work);
void run_at_end(int code);

}  // namespace mformer::cli
