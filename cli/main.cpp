#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/global_options.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/standard_streams.h"

int main(int argc, char** argv) {
  using namespace mformer::cli;
  hold_closed_streams();
  install_signal_handlers();
  GlobalOptions global;
  CLI::App app("The life of a modular language model: train, extend, freeze, finetune, prune, inspect", "mformer");
  use_our_help(app);
  app.set_version_flag("--version", "mformer " MFORMER_VERSION, "Show the version");
  app.footer("A command's own help: mformer COMMAND --help");
  add_global_options(app, global);
  setup_commands(app, global);
  return run_guarded(app, argc, argv, std::cout, std::cerr);
}
