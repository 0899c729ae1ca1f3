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

/// The same for a command whose options don't all speak for themselves: `understand()` reads and checks them, throws
/// UsageError, and needs no tensors; `run()` comes after it.
template <typename Understand, typename Run>
void computes(CLI::App& command, const Understand& understand, const Run& run) {
#ifdef MFORMER_DECLARES_ONLY
  command.callback([understand, kept = run, &command] {
    understand();
    look_before(command);
    hand_over();
  });
#else
  command.callback([understand, run] {
    understand();
    run();
  });
#endif
}

/// The same for a command of which only some lines take tensors: those for which `wants()` is true. The others run
/// `plain()`, which may need nothing but a RegistryWorkspace, in the program `mformer` itself.
template <typename Wants, typename Plain, typename Run>
void computes_where(CLI::App& command, const Wants& wants, const Plain& plain, const Run& run) {
#ifdef MFORMER_DECLARES_ONLY
  command.callback([wants, plain, kept = run, &command] {
    if (!wants()) return plain();
    look_before(command);
    hand_over();
  });
#else
  command.callback([wants, plain, run] { wants() ? run() : plain(); });
#endif
}

}  // namespace mformer::cli
