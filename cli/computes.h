#pragma once

#include <CLI/CLI.hpp>

#include "cli/hand_over.h"
#include "cli/look_before.h"

namespace mformer::cli {

/// Sets what `command` does, where that takes tensors: `run()`, called once the arguments are understood.
///
/// The file of such a command is compiled twice (cli/CMakeLists.txt). In the program `mformer` only its options are
/// kept: it knows them for help and for what is wrong with a command line (look_before.h too), and hands the others to
/// the program in which `run` is called. There `run` isn't instantiated, so nothing of it, LibTorch above all, is
/// linked.
template <typename Run>
void computes(CLI::App& command, const Run& run) {
#ifdef MFORMER_DECLARES_ONLY
  command.callback([kept = run, &command] {  // what it captured holds the options' values while they are parsed
    look_before(command);
    hand_over();
  });
#else
  command.callback(run);
#endif
}

}  // namespace mformer::cli
