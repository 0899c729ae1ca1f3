#include <unistd.h>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/registry_workspace.h"
#include "cli/workspace_at.h"
#include "core/transfer/remote.h"

namespace mformer::cli {
namespace {

void run_transfer_peer(const GlobalOptions& global) {
  WorkspaceAt workspace(new_workspace_folder(global));
  Wire wire(STDIN_FILENO, STDOUT_FILENO, [] { return interrupted(); });
  serve(wire, workspace.served(/*writes=*/false));
}

}  // namespace

void setup_transfer_peer(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* command =
      add_command(parent, {"transfer-peer", "", "Answer push and pull of another machine on standard input and output",
                           "mformer --workspace work transfer-peer"});
  command->group("");  // nobody types it: not in help, completion and manual
  command->callback([&global] { run_transfer_peer(global); });
}

}  // namespace mformer::cli
