#include "core/workflows/blame.h"

#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct BlameOptions {
  BlameCommand command;
  std::string ref;
};

std::string blamed_name(const BlamedBirth& birth) {
  return birth.born_for.empty() ? birth.command : birth.command + ':' + birth.born_for;
}

ordered_json births_json(const BlameReport& result) {
  ordered_json rows = ordered_json::array();
  for (const BlamedBirth& birth : result.births) {
    ordered_json layers = ordered_json::array();
    for (const auto& [bank, share] : birth.shares) {
      layers.push_back({{"layer", bank.first}, {"kind", to_string(bank.second)}, {"share", share}});
    }
    rows.push_back({{"operation", birth.operation},
                    {"born_by", birth.command},
                    {"born_for", birth.born_for},
                    {"modules", birth.modules},
                    {"domains", birth.domains},
                    {"share", birth.share},
                    {"layers", layers},
                    {"masked_loss", number_or_null(birth.masked_loss)},
                    {"gain", number_or_null(result.gain(birth))},
                    {"refusal", birth.refusal.empty() ? ordered_json() : ordered_json(birth.refusal)}});
  }
  return rows;
}

std::string births_table(const BlameReport& result, const Style& style) {
  Table table({{"born by", Align::left}, {"operation"}, {"modules"}, {"routing"}, {"loss without"}, {"gain"}});
  for (const BlamedBirth& birth : result.births) {
    const std::optional<double> gain = result.gain(birth);
    table.add_row({blamed_name(birth), std::to_string(birth.operation), format_count(birth.modules),
                   format_percent(birth.share), birth.masked_loss ? format_fixed(*birth.masked_loss) : "-",
                   gain ? format_signed(*gain) : "-"});
  }
  return table.str(style);
}

/// A row for each layer and kind, a column for each birth.
std::string layers_table(const BlameReport& result, const Style& style) {
  std::vector<Column> columns = {{"layer"}, {"kind"}};
  for (const BlamedBirth& birth : result.births) {
    columns.push_back({blamed_name(birth) + " (" + std::to_string(birth.operation) + ")"});
  }
  Table table(columns);
  for (const auto& [bank, unused] : result.births.front().shares) {
    std::vector<std::string> cells = {std::to_string(bank.first), std::string(to_string(bank.second))};
    for (const BlamedBirth& birth : result.births) cells.push_back(format_percent(birth.shares.at(bank)));
    table.add_row(cells);
  }
  return table.str(style);
}

void write_remarks(std::ostream& text, const BlameReport& result) {
  text << "routing: share of the task's routing, mean over layers and kinds; gain: how much the loss rises without "
          "these modules, one birth masked at a time, nothing trained\n";
  for (const BlamedBirth& birth : result.births) {
    for (const std::string& domain : birth.domains) {
      text << "without " << blamed_name(birth) << " the private parts of domain " << domain << " are gone too\n";
    }
    if (!birth.refusal.empty()) text << blamed_name(birth) << " can't be masked: " << birth.refusal << '\n';
  }
  const std::optional<double> whole = result.gain_of_all();
  if (!whole) return;
  text << "all births after the first at once: gain " << format_signed(*whole) << "; their gains above add up to "
       << format_signed(result.sum_of_gains())
       << ". Where the two differ, births stand in for each other or need each other, and no single gain is theirs "
          "alone\n";
}

void run_blame(const BlameOptions& options, const GlobalOptions& global) {
  const OpenMode mode = mode_for_measuring(global);
  Workspace workspace(global, "blame", mode);
  const Registry& registry = workspace.registry();
  const LoadedVersion version =
      options.ref.empty() ? workspace.load() : load_version(registry, registry.resolve(options.ref));
  const BlameReport result = workspace.run(
      [&] { return blame(workspace.computing_session(), version, options.command, mode == OpenMode::read_write); });
  Report report("blame", global.json);
  ordered_json& data = report.data();
  data["model_version"] = version_json(version.record);
  data["task"] = options.command.task;
  data["tokens"] = result.tokens;
  data["loss"] = result.loss;
  data["measured_now"] = result.measured;
  data["births"] = births_json(result);
  data["gain_of_all"] = number_or_null(result.gain_of_all());
  data["sum_of_gains"] = result.sum_of_gains();
  report.text() << "task " << options.command.task << " in " << to_string(version.record) << ": loss "
                << format_fixed(result.loss) << " nats per token, on " << format_count(result.tokens)
                << " held-out tokens\n\n"
                << births_table(result, report.style());
  write_remarks(report.text(), result);
  if (!result.births.empty()) report.text() << '\n' << layers_table(result, report.style());
  report.print();
}

}  // namespace

void setup_blame(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<BlameOptions>();
  CLI::App* command =
      add_command(parent, {"blame", groups::inspect, "Tell which operations' modules a task owes its performance to",
                           "mformer blame --task qa"});
  command->add_option("REF", options->ref, "The version; default: the current model's, or --model");
  command->add_option("--task", options->command.task, "Known task")->type_name("NAME")->required();
  command
      ->add_option("--max-tokens", options->command.max_tokens,
                   "Held-out tokens to measure on, 0 = all; without it 65536, and the routing as the registry knows it")
      ->check(non_negative_integer());
  computes(
      *command,
      [options, &global] {
        if (!options->ref.empty() && !global.model.empty()) {
          throw UsageError("the version is named twice: " + options->ref + " and --model " + global.model,
                           "leave one out");
        }
      },
      [options, &global] { run_blame(*options, global); });
}

}  // namespace mformer::cli
