#include "core/workflows/inspect.h"

#include <algorithm>
#include <iterator>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/output_file.h"
#include "cli/routing_picture.h"
#include "cli/routing_report.h"
#include "cli/routing_trace.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/model/domains.h"
#include "core/workspace/module_share.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct RoutingFlags {
  InspectRoutingCommand command;
  std::vector<std::string> diff;  ///< two versions
  std::int64_t top = 0;
  std::string by, trace;

  RoutingView view() const { return {static_cast<std::size_t>(top), !by.empty()}; }
  bool draws() const { return top == 0 && by.empty(); }
};

ordered_json task_json(const ModulePlaces& places, const TaskRouting& routing) {
  return {{"task", routing.task},
          {"measured_now", routing.measured},
          {"tokens", routing.stats.empty() ? 0 : routing.stats.front().tokens},
          {"ninety_percent", routing.ninety_percent},
          {"modules", routing_modules_json(places, routing.stats)}};
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

/// The choices go to the file while they are made.
std::vector<TaskRouting> measure_with_trace(Workspace& workspace, const LoadedVersion& version,
                                            const RoutingFlags& flags, bool keep, std::int64_t& written) {
  std::vector<TaskRouting> tasks;
  written = write_routing_trace(flags.trace, hypotheses(version.model), [&](const RoutingTrace& trace) {
    InspectRoutingCommand command = flags.command;
    command.trace = trace;
    tasks = inspect_routing(workspace.computing_session(), version, command, keep);
  });
  return tasks;
}

void run_inspect_routing(const RoutingFlags& flags, const GlobalOptions& global) {
  const OpenMode mode = mode_for_measuring(global);
  Workspace workspace(global, "inspect routing", mode);
  const LoadedVersion version = workspace.load();
  const bool keep = mode == OpenMode::read_write;
  std::int64_t written = 0;
  const std::vector<TaskRouting> tasks = workspace.run([&] {
    if (!flags.trace.empty()) return measure_with_trace(workspace, version, flags, keep, written);
    return inspect_routing(workspace.computing_session(), version, flags.command, keep);
  });
  const ModulePlaces places(workspace.registry(), version.record.hash);
  Report report("inspect routing", global.json);
  report.data()["model"] = to_string(version.record);
  report.data()["hash"] = version.record.hash;
  report.data()["model_version"] = version_json(version.record);
  auto& rows = report.data()["tasks"] = ordered_json::array();
  report.text() << "routing of " << to_string(version.record) << ": share of " << work_of(tasks.front().stats).what
                << " of each layer, held-out text\n\n";
  for (const TaskRouting& routing : tasks) {
    rows.push_back(task_json(places, routing));
    const Work work = work_of(routing.stats);
    report_routing(report, rows.back(), {routing.task, routing_banks(places, routing.stats)}, flags.view(),
                   places.marks_meaning());
    report.text() << "90 % of " << work.what << " of " << routing.task << ' ' << work.goes << ' '
                  << format_percent(routing.ninety_percent) << " of the modules\n\n";
  }
  report_divergence(report, tasks);
  if (!flags.trace.empty()) {
    report.data()["trace"] = {{"file", flags.trace}, {"choices", written}};
    report.text() << "wrote " << format_count(written) << " choices to " << flags.trace << '\n';
  }
  report.print();
}

const TaskRouting* routing_of(const std::vector<TaskRouting>& tasks, const std::string& name) {
  const auto found = std::find_if(tasks.begin(), tasks.end(), [&](const auto& one) { return one.task == name; });
  return found == tasks.end() ? nullptr : &*found;
}

void run_routing_diff(const RoutingFlags& flags, const GlobalOptions& global) {
  const OpenMode mode = mode_for_measuring(global);
  Workspace workspace(global, "inspect routing", mode);
  const Registry& registry = workspace.registry();
  const VersionRecord before = registry.resolve(flags.diff[0]), after = registry.resolve(flags.diff[1]);
  for (const std::string& task : flags.command.tasks) registry.task(task);  // a slip is told at once
  const auto measure = [&](const VersionRecord& version) {
    return workspace.run([&] {
      const LoadedVersion loaded = load_version(registry, version);
      return inspect_routing(workspace.computing_session(), loaded, flags.command, mode == OpenMode::read_write);
    });
  };
  const std::vector<TaskRouting> tasks_before = measure(before), tasks_after = measure(after);
  const ModulePlaces places_before(registry, before.hash), places_after(registry, after.hash);
  Report report("inspect routing", global.json);
  report.data()["model"] = to_string(after);
  report.data()["hash"] = after.hash;
  report.data()["model_version"] = version_json(after);
  report.data()["before"] = version_json(before);
  auto& rows = report.data()["tasks"] = ordered_json::array();
  report.text() << "routing of " << version_name(after) << " less that of " << version_name(before) << ": share of "
                << work_of(tasks_after.front().stats).what << " of each layer, held-out text"
                << (flags.draws() ? "; a column is one module in both\n\n" : "\n\n");
  for (const TaskRouting& routing : tasks_after) {
    const TaskRouting* const earlier = routing_of(tasks_before, routing.task);
    if (earlier == nullptr) continue;
    const RoutingOfTask one{routing.task, routing_banks(places_before, earlier->stats, places_after, routing.stats)};
    const double bits = routing_divergence(earlier->stats, routing.stats);
    ordered_json row = {{"task", routing.task},
                        {"measured_now", routing.measured || earlier->measured},
                        {"tokens_before", earlier->stats.empty() ? 0 : earlier->stats.front().tokens},
                        {"tokens", routing.stats.empty() ? 0 : routing.stats.front().tokens},
                        {"ninety_percent", routing.ninety_percent},
                        {"divergence", bits},
                        {"modules", compared_modules_json(one.banks)}};
    report_routing(report, row, one, flags.view(), "+ new, x gone");
    report.text() << "divergence (Jensen-Shannon, bits; 0 = as before, 1 = no module in common): " << format_fixed(bits)
                  << "\n\n";
    rows.push_back(std::move(row));
  }
  if (rows.empty())
    throw Error("no task can be read by both versions", "mformer tasks lists where each task's data should be");
  report.print();
}

void understand_routing(const RoutingFlags& flags) {
  if (flags.trace.empty()) return;
  if (!flags.diff.empty()) {
    throw UsageError("--trace writes the choices of one version, --diff is about two",
                     "leave one of them out; --model REF names the version");
  }
  if (flags.command.tasks.size() != 1) {
    throw UsageError("--trace writes the choices for one task", "name it: --task NAME");
  }
  require_output(flags.trace, "trace of routing",
                 [](const std::string& path) { return has_first_line(path, routing_trace_header); });
}

}  // namespace

void setup_inspect_routing(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<RoutingFlags>();
  CLI::App* command =
      add_command(parent, {"routing", "", "Draw which modules each task uses", "mformer inspect routing --task qa"});
  command->add_option("--task", flags->command.tasks, "Tasks to show; default: all that are known")->type_name("NAME");
  command->add_option("--diff", flags->diff, "Show how it changed from one version to another, module by module")
      ->type_name("REF")
      ->expected(2);
  CLI::Option* top = command
                         ->add_option("--top", flags->top,
                                      "Instead of pictures list the N modules with the largest shares; with --diff "
                                      "the largest changes")
                         ->check(positive_integer());
  command->add_option("--by", flags->by, "Instead of pictures sum the shares by what bore the modules")
      ->type_name("birth")
      ->check({[](std::string& text) -> std::string {
                 if (text == "birth") return "";
                 return with_hint("--by does not know '" + text + "'", "shares are summed --by birth");
               },
               "birth"})
      ->excludes(top);
  command
      ->add_option("--trace", flags->trace,
                   "Also write every choice of a router, token by token, to this file of comma-separated values; "
                   "measures again")
      ->type_name("FILE");
  command
      ->add_option(
          "--max-tokens", flags->command.max_tokens,
          "Measure (again) on so many held-out tokens per task, 0 = all; default: what the registry knows, or 65536")
      ->check(non_negative_integer());
  command->add_flag("--refresh", flags->command.refresh, "Measure again, even what the registry knows");
  computes(
      *command, [flags] { understand_routing(*flags); },
      [flags, &global] {
        flags->diff.empty() ? run_inspect_routing(*flags, global) : run_routing_diff(*flags, global);
      });
}

}  // namespace mformer::cli
