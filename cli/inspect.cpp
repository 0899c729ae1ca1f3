#include "cli/command.h"
#include "cli/commands.h"

namespace mformer::cli {

void setup_inspect(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* group = add_command_group(
      parent, {"inspect", groups::inspect, "Show who routes where, what exists and where it came from",
               "mformer inspect routing"});
  setup_inspect_routing(*group, global);
  setup_inspect_keep_curve(*group, global);
  setup_inspect_module(*group, global);
  setup_inspect_modules(*group, global);
  setup_inspect_posterior(*group, global);
  setup_inspect_lineage(*group, global);
}

}  // namespace mformer::cli
