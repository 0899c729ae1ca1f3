#pragma once

#include <string>

#include "modules_registry/error.h"

/// Ctrl-C. A command that runs long polls interrupted() (core takes it as a callback), saves its state and throws
/// Interrupted. A second Ctrl-C does not wait for that.
namespace mformer::cli {

/// From now on the first SIGINT, SIGTERM or SIGHUP only sets a flag; one that comes half a second after it or
/// later ends the process at once with 128 + signal. A SIGHUP that is ignored (nohup) stays so. SIGPIPE and SIGXFSZ are
/// ignored: a write to a closed pipe, or beyond the limit on the size of files, fails and reports itself. Call once, in
/// main.
void install_signal_handlers();

/// From now on these signals end the process, but for a SIGHUP that is ignored: for a moment in which there is nothing
/// to save and nobody would look at the flag.
void let_signals_end_the_process();

/// Whether a first SIGINT, SIGTERM or SIGHUP has come. Cheap, for inner loops; any thread.
bool interrupted() noexcept;

/// 128 + the signal that came: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP; 130 when none came.
int interrupt_exit_code() noexcept;

/// Forgets the signal; for tests.
void clear_interrupt() noexcept;

/// The command stopped in good order: `what` says what was saved ("step 120 is saved"), `hint` how to go on ("resume
/// with: mformer train --resume"). Printed as "interrupted: step 120 is saved"; exit code interrupt_exit_code().
class Interrupted : public Error {
 public:
  using Error::Error;
};

}  // namespace mformer::cli
