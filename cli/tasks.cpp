#include "cli/command.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/task_facts.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"

namespace mformer::cli {
namespace {

void run_tasks(const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "tasks", OpenMode::read_only);
  terminal::Report report("tasks", global.json);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  terminal::Table table({{"task"}, {"documents"}, {"tokens"}, {"left out"}, {"data"}});
  for (const TaskRecord& task : workspace.registry().tasks()) {
    rows.push_back(task_facts_json(task));
    table.add_row({task.name, terminal::format_count(task.document_count), terminal::format_count(task.token_count),
                   left_out_text(task), task.data_path});
  }
  report.text() << (table.empty() ? "no tasks yet: " + program_of(global) + " task add NAME --data DIR\n"
                                  : table.str(report.style()));
  report.data()["tasks"] = rows;
  report.print();
}

}  // namespace

void setup_tasks(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* command = add_command(parent, {"tasks", groups::data, "List the known data sets", "mformer tasks"});
  command->callback([&global] { run_tasks(global); });
}

}  // namespace mformer::cli
