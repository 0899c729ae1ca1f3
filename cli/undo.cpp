#include "core/workflows/undo.h"

#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/terminal/report.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

void run_undo(bool dry_run, const GlobalOptions& global) {
  Workspace workspace(global, "undo", mode_of(dry_run));
  const std::string model = model_name(workspace.registry(), global);
  const UndoReport undone = plan_undo(workspace.registry(), model);
  if (!dry_run) undo(workspace.session(), model, undone);
  terminal::Report report("undo", global.json);
  report.data()["dry_run"] = dry_run;
  report.data()["model"] = model;
  report.data()["undone"] = {{"id", undone.undone.id}, {"command", undone.undone.command}};
  report.data()["from"] = version_json(undone.from);
  report.data()["to"] = version_json(undone.to);
  report.text() << (dry_run ? "would undo " : "undid ") << undone.undone.command << " (operation " << undone.undone.id
                << "): " << model << (dry_run ? " would go" : " went") << " from " << to_string(undone.from) << " to "
                << to_string(undone.to) << '\n';
  if (!dry_run) report.text() << "forward again: mformer use " << to_string(undone.from) << '\n';
  tell(dry_run ? "" : "undid " + undone.undone.command + ": " + model + " is at " + to_string(undone.to), "mformer log",
       [&] { report.print(); });
}

}  // namespace

void setup_undo(CLI::App& parent, const GlobalOptions& global) {
  auto dry_run = std::make_shared<bool>(false);
  CLI::App* command =
      add_command(parent, {"undo", groups::registry,
                           "Move the model back to the version before its last change; nothing is deleted",
                           "mformer undo --dry-run"});
  add_dry_run(*command, *dry_run);
  command->callback([dry_run, &global] { run_undo(*dry_run, global); });
}

}  // namespace mformer::cli
