#include "core/workflows/inspect.h"

#include <algorithm>
#include <iterator>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/routing_picture.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/workspace/module_share.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

ordered_json task_json(const RoutingPicture& picture, const TaskRouting& routing) {
  return {{"task", routing.task},
          {"measured_now", routing.measured},
          {"tokens", routing.stats.empty() ? 0 : routing.stats.front().tokens},
          {"ninety_percent", routing.ninety_percent},
          {"modules", picture.modules_json(routing.stats)}};
}

/// What shares are shares of, in words, and what is said of most of it.
struct Work {
  const char *what, *goes;
};

Work work_of(const std::vector<RoutingStat>& stats) {
  const std::vector<ModuleShare> shares = module_shares(stats);
  const auto norms = std::count_if(shares.begin(), shares.end(), [](const ModuleShare& one) { return one.of_norm; });
  if (norms == 0) return {"the slots", "go to"};
  if (norms == std::ssize(shares)) return {"the output norm", "come from"};
  return {"the slots (where all modules are taken: the output norm)", "come from"};
}

/// Every pair of tasks once.
void report_divergence(Report& report, const std::vector<TaskRouting>& tasks) {
  auto& pairs = report.data()["divergence"] = ordered_json::array();
  Table table({{"task", Align::left}, {"task", Align::left}, {"divergence"}});
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    for (std::size_t j = i + 1; j < tasks.size(); ++j) {
      const double bits = routing_divergence(tasks[i].stats, tasks[j].stats);
      pairs.push_back({{"a", tasks[i].task}, {"b", tasks[j].task}, {"bits", bits}});
      table.add_row({tasks[i].task, tasks[j].task, format_fixed(bits)});
    }
  }
  if (table.empty()) return;
  report.text() << "routing divergence (Jensen-Shannon, bits): 0 = the same modules, 1 = none in common\n"
                << table.str(report.style());
}

void run_inspect_routing(const InspectRoutingCommand& options, const GlobalOptions& global) {
  const OpenMode mode = mode_for_measuring(global);
  Workspace workspace(global, "inspect routing", mode);
  const LoadedVersion version = workspace.load();
  const std::vector<TaskRouting> tasks = workspace.run(
      [&] { return inspect_routing(workspace.computing_session(), version, options, mode == OpenMode::read_write); });
  const RoutingPicture picture(workspace.registry(), version.record.hash);
  Report report("inspect routing", global.json);
  report.data()["model"] = to_string(version.record);
  report.data()["hash"] = version.record.hash;
  report.data()["model_version"] = version_json(version.record);
  auto& rows = report.data()["tasks"] = ordered_json::array();
  report.text() << "routing of " << to_string(version.record) << ": share of " << work_of(tasks.front().stats).what
                << " of each layer, held-out text\n\n";
  for (const TaskRouting& routing : tasks) {
    rows.push_back(task_json(picture, routing));
    const Work work = work_of(routing.stats);
    report.text() << picture.draw(routing.task, routing.stats, report.style()) << "90 % of " << work.what << " of "
                  << routing.task << ' ' << work.goes << ' ' << format_percent(routing.ninety_percent)
                  << " of the modules\n\n";
  }
  report_divergence(report, tasks);
  report.print();
}

}  // namespace

void setup_inspect_routing(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<InspectRoutingCommand>();
  CLI::App* command =
      add_command(parent, {"routing", "", "Draw which modules each task uses", "mformer inspect routing --task qa"});
  command->add_option("--task", options->tasks, "Tasks to show; default: all that are known")->type_name("NAME");
  command
      ->add_option(
          "--max-tokens", options->max_tokens,
          "Measure (again) on so many held-out tokens per task, 0 = all; default: what the registry knows, or 65536")
      ->check(non_negative_integer());
  command->add_flag("--refresh", options->refresh, "Measure again, even what the registry knows");
  computes(*command, [options, &global] { run_inspect_routing(*options, global); });
}

}  // namespace mformer::cli
