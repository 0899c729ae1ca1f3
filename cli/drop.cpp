#include "core/workflows/drop.h"

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/train_options.h"
#include "cli/train_report.h"
#include "cli/workspace.h"
#include "core/workspace/selector_syntax.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct DropFlags {
  DropCommand command;
  std::vector<std::string> births;
};

void report_sizes(Report& report, const DropReport& result) {
  const auto pair = [](auto before, auto after) { return ordered_json{{"before", before}, {"after", after}}; };
  report.data()["parameters"] = pair(result.size_before.weights, result.size_after.weights);
  report.data()["memory_bytes"] = pair(result.size_before.bytes, result.size_after.bytes);
  report.data()["disk_bytes"] = pair(result.stored_before, result.stored_after);
  report.text() << "parameters  " << format_count(result.size_before.weights) << " become "
                << format_count(result.size_after.weights) << "\nmemory      " << byte_size(result.size_before.bytes)
                << " become " << byte_size(result.size_after.bytes) << "\ndisk        "
                << byte_size(result.stored_before) << " become " << byte_size(result.stored_after) << '\n';
}

void report_drop(Report& report, const LoadedVersion& base, const DropReport& result) {
  report.data()["dry_run"] = !result.version.has_value();
  report.data()["base"] = to_string(base.record);
  if (result.version) {
    fill_made(report.data(), *result.version, result.kept_beside);
    report.text() << "made " << to_string(*result.version) << " from " << to_string(base.record) << '\n';
  }
  report.data()["dropped"] = {{"att", result.dropped_att}, {"mlp", result.dropped_mlp}};
  report.data()["domains"] = result.domains;
  report.text() << (result.version ? "dropped " : "would drop ") << result.dropped_att << " attention and "
                << result.dropped_mlp << " feed-forward modules";
  for (const std::string& name : result.domains) report.text() << ", domain '" << name << "'";
  report.text() << "\n\n";
  report.data()["tasks"] = tasks_json(result.tasks);
  report.text() << tasks_table(result.tasks, report.style())
                << "losses on held-out text, in nats per token: less is better; - = the task has no such text\n\n";
  report_sizes(report, result);
}

void run_drop(DropFlags flags, const nlohmann::ordered_json& arguments, const GlobalOptions& global) {
  Workspace workspace(global, "drop", mode_of(flags.command.dry_run), arguments);
  const LoadedVersion base = workspace.load();
  const DropReport result = workspace.run([&] { return drop(workspace.computing_session(), base, flags.command); });
  tell(result.version, [&] {
    Report report("drop", global.json);
    report_drop(report, base, result);
    report_cut_off(report, result.version, result.cut_off, global);
    report.print();
  });
}

}  // namespace

void setup_drop(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<DropFlags>();
  CLI::App* command =
      add_command(parent, {"drop", groups::learning, "Make a version without the modules that an extension added",
                           "mformer drop --born extend:german"});
  command->add_option("SELECTOR", flags->command.selectors,
                      "Modules that go: clauses that must all hold, such as domain=german or born=extend:de,layer=0-3; "
                      "all that one of several selectors picks");
  command->add_option("--born", flags->births, "Short for the selector born=...: extend:de, or extend for all tasks")
      ->type_name("COMMAND[:TASK]");
  add_version_flags(*command, flags->command.into, flags->command.eval_tokens);
  add_dry_run(*command, flags->command.dry_run);
  computes(
      *command,
      [flags] {
        for (const std::string& birth : flags->births) flags->command.selectors.push_back("born=" + birth);
        for (const std::string& selector : flags->command.selectors) read_selector(selector);
      },
      [flags, command, &global] { run_drop(*flags, arguments_of(*command), global); });
}

}  // namespace mformer::cli
