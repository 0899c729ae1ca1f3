#pragma once

#include <cstdint>
#include <string>

#include "modules_registry/registry.h"

namespace mformer {

/// What lies in a workspace beside the registry and that nothing needs any more.
struct Leftovers {
  std::int64_t runs = 0;  ///< folders of training runs whose versions gc has freed, or that are of no command
  std::int64_t snapshots =
      0;  ///< of runs that are done, or that another version of the program would have to go on with
  std::int64_t run_bytes = 0;  ///< of both
  std::int64_t tokens = 0;     ///< token files of data that no task has
  std::int64_t token_bytes = 0;
  std::string waits_for;  ///< the command that runs, because of which all stays; or empty
};

/// Removes leftovers last written more than `grace_ms` ago; with `dry_run` it only counts them. Stays: the metrics of
/// every run of a version that is there or that ended without one, what the same command would go on from, and tokens
/// of tasks that an undo can bring back. `freed` is what Registry::gc freed before, or, in a dry run, would free;
/// `code_version` is this program's.
Leftovers collect_leftovers(const Registry& registry, const GcResult& freed, const std::string& code_version,
                            bool dry_run, std::int64_t grace_ms);

}  // namespace mformer
