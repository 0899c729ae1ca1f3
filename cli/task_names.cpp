#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "core/workflows/names.h"

namespace mformer::cli {
namespace {

struct TaskRenameOptions {
  std::string from, to;
  bool dry_run = false;
};

struct TaskRemoveOptions {
  std::string name;
  bool dry_run = false;
};

std::string quoted_name_of_task(const std::string& name) {
  return "'" + terminal::printable(name) + "'";
}

void run_task_rename(const TaskRenameOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "task rename", mode_of(options.dry_run),
                              {{"from", options.from}, {"to", options.to}});
  rename(workspace.session(), Thing::task, options.from, options.to, options.dry_run);
  terminal::Report report("task rename", global.json);
  report.data() = {{"dry_run", options.dry_run}, {"task", options.to}, {"before", options.from}};
  report.text() << (options.dry_run ? "would rename" : "renamed") << " task " << quoted_name_of_task(options.from)
                << " to " << quoted_name_of_task(options.to) << ", with its statistics and scores\n";
  tell(options.dry_run ? ""
                       : "renamed task " + quoted_name_of_task(options.from) + " to " + quoted_name_of_task(options.to),
       "mformer log", [&] { report.print(); });
}

void run_task_remove(const TaskRemoveOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "task remove", mode_of(options.dry_run), {{"name", options.name}});
  const TaskRecord task = workspace.registry().task(options.name);
  remove(workspace.session(), Thing::task, options.name, options.dry_run);
  terminal::Report report("task remove", global.json);
  report.data() = {{"dry_run", options.dry_run}, {"task", task.name}, {"data", task.data_path}};
  report.text() << (options.dry_run ? "would remove" : "removed") << " task " << quoted_name_of_task(task.name)
                << ", its statistics and scores; the texts in " << terminal::printable(task.data_path) << " stay\n";
  if (!options.dry_run)
    report.text() << "take it back: " << program_of(global) << " undo, until " << program_of(global)
                  << " gc frees it\n";
  tell(options.dry_run ? "" : "removed task " + quoted_name_of_task(task.name), "mformer log", [&] { report.print(); });
}

}  // namespace

void setup_task_rename(CLI::App& group, const GlobalOptions& global) {
  auto options = std::make_shared<TaskRenameOptions>();
  CLI::App* command =
      add_command(group, {"rename", "", "Give a task another name", "mformer task rename qa questions"});
  command->add_option("OLD", options->from, "Name of the task")->required();
  command->add_option("NEW", options->to, "Its new name")->required();
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_task_rename(*options, global); });
}

void setup_task_remove(CLI::App& group, const GlobalOptions& global) {
  auto options = std::make_shared<TaskRemoveOptions>();
  CLI::App* command = add_command(
      group, {"remove", "", "Forget a task, its statistics and scores; its texts stay", "mformer task remove qa"});
  command->add_option("NAME", options->name, "Name of the task")->required();
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_task_remove(*options, global); });
}

}  // namespace mformer::cli
