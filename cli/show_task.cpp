#include "cli/describe.h"
#include "cli/show_reports.h"
#include "cli/show_scores.h"
#include "cli/task_facts.h"
#include "cli/terminal/format.h"
#include "cli/terminal/text.h"

namespace mformer::cli {

void report_task(terminal::Report& report, const Registry& registry, const TaskRecord& task, int limit) {
  report.data().update(task_facts_json(task));
  const auto operation = task.created_operation;
  report.data()["operation"] = operation == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(operation);
  report.text() << "task       " << terminal::printable(task.name) << "\ndata       "
                << terminal::printable(task.data_path) << "\ncontent    " << task.content_hash << "\ndocuments  "
                << terminal::format_count(task.document_count) << ", " << terminal::format_count(task.token_count)
                << " tokens; left out: " << left_out_text(task) << "\nheld out   "
                << terminal::printable(task.heldout_rule) << "\nfields     "
                << (task.fields.empty() ? "those with known names" : terminal::printable(task.fields))
                << "\nadded      " << utc_time(task.created_ms) << " UTC"
                << (operation == 0 ? "" : " by operation " + std::to_string(operation)) << '\n';
  report_scores(report, registry, registry.scores("", task.name), ScoresOf::task, limit);
}

}  // namespace mformer::cli
