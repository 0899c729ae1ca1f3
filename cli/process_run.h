#pragma once

#include "cli/global_options.h"
#include "core/parallel/process_group.h"

namespace mformer::cli {

/// The options that this process goes on with. Where a launcher started several that work together (processes.h), joins
/// the others, once: compares programs and command lines, shares out the cores of this machine, and gives every process
/// but the first a private copy of the workspace in the folder for temporary files, in which its writes vanish. Throws
/// Error on every process where one differs, and where mformer was built without MPI.
const GlobalOptions& joined(const GlobalOptions& global);

/// The processes that were joined; null where this one is alone.
ProcessGroup* processes();

}  // namespace mformer::cli
