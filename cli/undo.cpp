#include "core/workflows/undo.h"

#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "core/workflows/undo_names.h"

namespace mformer::cli {
namespace {

/// What taking it back does: "task 'b' back to 'a'".
std::string description(RegistryWorkspace& workspace, const NameChange& change) {
  const auto quoted = [](const std::string& name) { return "'" + terminal::printable(name) + "'"; };
  const std::string thing(to_string(change.thing));
  if (change.change == "rename") return thing + " " + quoted(change.new_name) + " back to " + quoted(change.old_name);
  if (change.change == "remove") return thing + " " + quoted(change.old_name) + " back";
  if (change.change == "make") return thing + " " + quoted(change.new_name) + " away";
  if (change.change == "replace") return thing + " " + quoted(change.new_name) + " back to its earlier data";
  return thing + " " + quoted(change.new_name) + " back to " +
         terminal::printable(workspace.registry().place_of(change.before));
}

std::string forward_again(const GlobalOptions& global) {
  return "forward again: " + program_of(global) + " redo" + (global.model.empty() ? "" : " --model " + global.model) +
         "\n";
}

void run_undo_of_name(RegistryWorkspace& workspace, const NameChange& change, bool dry_run,
                      const GlobalOptions& global) {
  const OperationRecord undone = workspace.registry().operation(change.operation_id);
  const std::string what = description(workspace, change);
  if (!dry_run) undo_name_change(workspace.session(), change);
  terminal::Report report("undo", global.json);
  report.data() = {{"dry_run", dry_run},
                   {"model", nullptr},
                   {"undone", {{"id", undone.id}, {"command", undone.command}}},
                   {"from", nullptr},
                   {"to", nullptr},
                   {"change",
                    {{"thing", to_string(change.thing)},
                     {"change", change.change},
                     {"old_name", change.old_name},
                     {"new_name", change.new_name}}}};
  report.text() << (dry_run ? "would undo " : "undid ") << undone.command << " (operation " << undone.id
                << "): " << what << '\n';
  if (!dry_run) report.text() << forward_again(global);
  tell(dry_run ? "" : "undid " + undone.command + ": " + what, "mformer log", [&] { report.print(); });
}

void run_undo(bool dry_run, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "undo", mode_of(dry_run));
  if (const auto change = name_change_to_undo(workspace.registry(), global.model)) {
    return run_undo_of_name(workspace, *change, dry_run, global);
  }
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
  if (!dry_run) report.text() << forward_again(global);
  tell(dry_run ? "" : "undid " + undone.undone.command + ": " + model + " is at " + to_string(undone.to), "mformer log",
       [&] { report.print(); });
}

}  // namespace

void setup_undo(CLI::App& parent, const GlobalOptions& global) {
  auto dry_run = std::make_shared<bool>(false);
  CLI::App* command = add_command(
      parent, {"undo", groups::registry, "Take the last change of the model or of a name back; nothing is deleted",
               "mformer undo --dry-run"});
  add_dry_run(*command, *dry_run);
  command->callback([dry_run, &global] { run_undo(*dry_run, global); });
}

}  // namespace mformer::cli
