#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "core/workflows/undo.h"

namespace mformer::cli {
namespace {

/// What doing it again does: "task 'a' to 'b'".
std::string done_again(const NameChange& change) {
  const auto quoted = [](const std::string& name) { return " '" + terminal::printable(name) + "'"; };
  const std::string thing(to_string(change.thing));
  if (change.change == "rename") return thing + quoted(change.old_name) + " to" + quoted(change.new_name);
  if (change.change == "remove") return thing + quoted(change.old_name) + " away";
  if (change.change == "replace") return thing + quoted(change.new_name) + " to its later data";
  if (change.change == "move") return thing + quoted(change.new_name) + " to its later place";
  return thing + quoted(change.new_name) + " back";
}

nlohmann::ordered_json change_json(const std::optional<NameChange>& change) {
  if (!change) return nullptr;
  return {{"thing", to_string(change->thing)},
          {"change", change->change},
          {"old_name", change->old_name},
          {"new_name", change->new_name}};
}

void run_redo(bool dry_run, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "redo", mode_of(dry_run));
  Registry& registry = workspace.registry();
  const std::string model = global.model.empty() ? registry.current_model() : model_name(registry, global);
  const RedoPlan plan = plan_redo(registry, model, /*all_names=*/global.model.empty());
  if (!plan.change) model_name(registry, global);  // throws where commands look at a version
  if (!dry_run) redo(workspace.session(), model, plan);
  const OperationRecord& again = plan.version.undone;
  const std::string what = plan.change ? done_again(*plan.change)
                                       : model + (dry_run ? " would go" : " went") + " from " +
                                             to_string(plan.version.from) + " to " + to_string(plan.version.to);
  terminal::Report report("redo", global.json);
  report.data()["dry_run"] = dry_run;
  report.data()["model"] = plan.change ? nlohmann::ordered_json() : nlohmann::ordered_json(model);
  report.data()["redone"] = {{"id", again.id}, {"command", again.command}};
  report.data()["undo"] = plan.undo;
  report.data()["from"] = plan.change ? nlohmann::ordered_json() : version_json(plan.version.from);
  report.data()["to"] = plan.change ? nlohmann::ordered_json() : version_json(plan.version.to);
  report.data()["change"] = change_json(plan.change);
  report.text() << (dry_run ? "would redo " : "redid ") << again.command << " (operation " << again.id << "): " << what
                << '\n';
  tell(dry_run ? "" : "redid " + again.command + ": " + what, "mformer log", [&] { report.print(); });
}

}  // namespace

void setup_redo(CLI::App& parent, const GlobalOptions& global) {
  auto dry_run = std::make_shared<bool>(false);
  CLI::App* command =
      add_command(parent, {"redo", groups::registry, "Take the last undo back, unless something else was done since",
                           "mformer redo --dry-run"});
  add_dry_run(*command, *dry_run);
  command->callback([dry_run, &global] { run_redo(*dry_run, global); });
}

}  // namespace mformer::cli
