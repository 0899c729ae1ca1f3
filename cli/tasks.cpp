#include "cli/command.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"

namespace mformer::cli {
namespace {

nlohmann::ordered_json count_or_null(const std::optional<std::int64_t>& number) {
  return number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json(nullptr);
}

/// "2 files, 3 records"; "-" for nothing; "?" where nobody counted.
std::string left_out(const TaskRecord& task) {
  if (!task.left_out_files || !task.left_out_records) return "?";
  std::string text;
  const auto add = [&](std::int64_t number, const char* what) {
    if (number == 0) return;
    text += (text.empty() ? "" : ", ") + terminal::format_count(number) + ' ' + what + (number == 1 ? "" : "s");
  };
  add(*task.left_out_files, "file");
  add(*task.left_out_records, "record");
  return text.empty() ? "-" : text;
}

void run_tasks(const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "tasks", OpenMode::read_only);
  terminal::Report report("tasks", global.json);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  terminal::Table table({{"task"}, {"documents"}, {"tokens"}, {"left out"}, {"data"}});
  for (const TaskRecord& task : workspace.registry().tasks()) {
    rows.push_back({{"task", task.name},
                    {"documents", task.document_count},
                    {"tokens", task.token_count},
                    {"data", task.data_path},
                    {"content_hash", task.content_hash},
                    {"heldout_rule", task.heldout_rule},
                    {"fields", task.fields},
                    {"left_out_files", count_or_null(task.left_out_files)},
                    {"left_out_records", count_or_null(task.left_out_records)},
                    {"created_ms", task.created_ms}});
    table.add_row({task.name, terminal::format_count(task.document_count), terminal::format_count(task.token_count),
                   left_out(task), task.data_path});
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
