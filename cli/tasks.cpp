#include "cli/command.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

void run_tasks(const GlobalOptions& global) {
  Workspace workspace(global, "tasks", OpenMode::read_only);
  terminal::Report report("tasks", global.json);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  terminal::Table table({{"task"}, {"documents"}, {"tokens"}, {"data"}});
  for (const TaskRecord& task : workspace.registry().tasks()) {
    rows.push_back({{"task", task.name},
                    {"documents", task.document_count},
                    {"tokens", task.token_count},
                    {"data", task.data_path},
                    {"content_hash", task.content_hash},
                    {"heldout_rule", task.heldout_rule},
                    {"created_ms", task.created_ms}});
    table.add_row({task.name, terminal::format_count(task.document_count), terminal::format_count(task.token_count),
                   task.data_path});
  }
  report.text() << (table.empty() ? "no tasks yet: mformer task add NAME --data DIR\n" : table.str(report.style()));
  report.data()["tasks"] = rows;
  report.print();
}

}  // namespace

void setup_tasks(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* command = add_command(parent, {"tasks", groups::data, "List the known data sets", "mformer tasks"});
  command->callback([&global] { run_tasks(global); });
}

}  // namespace mformer::cli
