#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "cli/commands.h"
#include "cli/config_file.h"
#include "cli/errors.h"
#include "cli/global_options.h"
#include "cli/hand_over.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/processes.h"
#include "cli/standard_streams.h"
#include "modules_registry/waiting_reader.h"

namespace {

/// The end of the program, when all that it wrote is flushed and its files and locks are let go. Without the
/// destructors of LibTorch, which would spend 80 ms on unregistering operations one by one in memory that the system
/// takes back anyway.
[[noreturn]] void leave(int code) {
  std::cout.flush();
  mformer::cli::run_at_end(code);
#ifdef __SANITIZE_ADDRESS__
  std::exit(code);  // at whose end leaks are looked for
#else
  std::_Exit(code);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  using namespace mformer::cli;
  hold_closed_streams();
  install_signal_handlers();
  mformer::stop_waiting_when(interrupted);
  remember_arguments(argv);
  silence_follower();
  GlobalOptions global;
  CLI::App app("The life of a modular language model: train, extend, freeze, finetune, prune, inspect", "mformer");
  use_our_help(app);
  app.set_version_flag("-V,--version", "mformer " MFORMER_VERSION, "Show the version");
  app.footer("A command's own help: mformer help COMMAND");
  add_global_options(app, global);
  setup_commands(app, global);
  leave_to_the_first(app);
  const auto prepare = [&] { apply_config_files(app, argc, argv); };
  if (!launch().is_follower()) leave(run_guarded(app, argc, argv, std::cout, std::cerr, prepare));
  std::ostringstream failure;
  const int code = run_guarded(app, argc, argv, std::cout, failure, prepare);
  if (code != 0) tell_failure_of_follower(failure.str());
  leave(code);
}
