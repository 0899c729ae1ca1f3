#include "core/workflows/inspect_module.h"

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/module_lineage.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/terminal/text.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/text/utf8.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

ordered_json use_json(const ModuleUse& use) {
  ordered_json tokens = ordered_json::array(), contexts = ordered_json::array();
  for (const TokenUse& one : use.by_token) {
    tokens.push_back({{"text", one.text}, {"slots", one.slots}, {"seen", one.seen}, {"gate", one.gate}});
  }
  for (const ContextUse& one : use.contexts) {
    contexts.push_back({{"before", one.before}, {"token", one.token}, {"after", one.after}, {"gate", one.gate}});
  }
  return {{"task", use.task},
          {"tokens", use.tokens},
          {"slots", use.slots},
          {"gate_mass", use.gate_mass},
          {"loss", use.loss},
          {"loss_without", use.loss_without ? ordered_json(*use.loss_without) : ordered_json(nullptr)},
          {"by_token", std::move(tokens)},
          {"contexts", std::move(contexts)}};
}

void report_losses(Report& report, const std::vector<ModuleUse>& tasks) {
  Table table({{"task", Align::left}, {"taken by"}, {"mean gate"}, {"loss"}, {"without it"}, {"change"}, {"tokens"}});
  bool needed = false;
  for (const ModuleUse& use : tasks) {
    const auto part = [](double of, std::int64_t all) { return all > 0 ? of / static_cast<double>(all) : 0.0; };
    std::vector<std::string> cells = {use.task, format_percent(part(static_cast<double>(use.slots), use.tokens)),
                                      use.slots > 0 ? format_fixed(part(use.gate_mass, use.slots)) : "-",
                                      format_fixed(use.loss)};
    const auto without = use.loss_without;
    needed = needed || !without;
    cells.push_back(without ? format_fixed(*without) : "-");
    cells.push_back(without ? format_signed(*without - use.loss) : "-");
    cells.push_back(format_count(use.tokens));
    table.add_row(cells);
  }
  report.text() << table.str(report.style())
                << "held-out text; loss in nats per token, with and without this module alone\n";
  if (needed) report.text() << "-: its layer would be left with fewer modules than a token takes\n";
}

void report_use(Report& report, const ModuleUse& use) {
  if (use.by_token.empty()) return;
  constexpr int kToken = 16, kSide = 26;
  const bool unicode = report.style().unicode;
  Table tokens({{"token", Align::left}, {"takes it"}, {"of its"}, {"mean gate"}});
  for (const TokenUse& one : use.by_token) {
    tokens.add_row({shorten('\'' + printable(one.text) + '\'', kToken, unicode), format_count(one.slots),
                    format_count(one.seen), format_fixed(one.gate)});
  }
  report.text() << '\n' << use.task << ": tokens that take it most\n" << tokens.str(report.style());
  Table contexts({{"before"}, {"token", Align::left}, {"after", Align::left}, {"gate"}});
  for (const ContextUse& one : use.contexts) {
    std::string before = printable(one.before);
    while (display_width(before) > kSide) before.erase(0, utf8_length(before));
    contexts.add_row({before, shorten(printable(one.token), kToken, unicode),
                      shorten(printable(one.after), kSide, unicode), format_fixed(one.gate)});
  }
  report.text() << '\n' << use.task << ": where its gate is largest\n" << contexts.str(report.style());
}

void run_inspect_module(InspectModuleCommand options, const GlobalOptions& global) {
  Workspace workspace(global, "inspect module", OpenMode::read_only);
  const ModuleRecord module = find_module(workspace.registry(), workspace.version(), options.uid);
  options.uid = module.uid;
  const LoadedVersion version = workspace.load();
  const ModuleInspection result =
      workspace.run([&] { return inspect_module(workspace.computing_session(), version, options); });
  Report report("inspect module", global.json);
  report.data()["model_version"] = version_json(version.record);
  report.data()["uid"] = module.uid;
  report.data()["layer"] = module.layer, report.data()["kind"] = to_string(module.kind);
  report.data()["hypothesis"] = result.hypothesis, report.data()["routed"] = result.routed;
  auto& tasks = report.data()["tasks"] = ordered_json::array();
  for (const ModuleUse& use : result.tasks) tasks.push_back(use_json(use));
  report.text() << to_string(version.record) << ", module " << module.uid << ": " << to_string(module.kind)
                << ", layer " << module.layer << ", " << birth_name(module);
  if (!version.model.domains.empty()) report.text() << ", as the hypothesis '" << result.hypothesis << "' uses it";
  report.text() << "\n\n";
  report_losses(report, result.tasks);
  if (!result.routed) report.text() << "every token takes every module of this layer, with gate 1\n";
  for (const ModuleUse& use : result.tasks) report_use(report, use);
  report.print();
}

}  // namespace

void setup_inspect_module(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<InspectModuleCommand>();
  CLI::App* command = add_command(parent, {"module", "", "Show which tokens use one module, and what its absence costs",
                                           "mformer inspect module 3f9a"});
  command->add_option("uid", options->uid, "The module, or the beginning of its uid")->type_name("UID")->required();
  command->add_option("--task", options->tasks, "Tasks to read; default: all that are known")->type_name("NAME");
  command->add_option("--max-tokens", options->max_tokens, "Held-out tokens per task, spread evenly, 0 = all")
      ->check(non_negative_integer());
  command->add_option("--top", options->most, "Tokens and places named per task")->check(non_negative_integer());
  computes(*command, [options, &global] { run_inspect_module(*options, global); });
}

}  // namespace mformer::cli
