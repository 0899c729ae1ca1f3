#include "core/workflows/verify.h"

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/describe.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

struct VerifyFlags {
  VerifyCommand command;
  std::string version;
};

ordered_json verified_json(const VerifiedTask& task) {
  return {{"task", task.task},     {"against_loss", task.against},        {"loss", task.loss},
          {"rise", task.rise()},   {"bound", number_or_null(task.bound)}, {"limit", task.limit},
          {"tokens", task.tokens}, {"holds", task.failure.empty()}};
}

ordered_json objects_json(const VersionDiff& objects) {
  const ModuleCounts counts = count_changes(objects);
  return {{"same_modules", objects.same_modules},
          {"added", counts.added},
          {"removed", counts.removed},
          {"retrained", counts.retrained},
          {"same_trunk", objects.same_trunk},
          {"trunk", objects.trunk},
          {"old_routers", objects.old_routers},
          {"private_parts", private_parts_json(objects.domains)},
          {"nothing_old_changed", objects.nothing_old_changed()}};
}

ordered_json brought_back_json(const BroughtBack& as_of) {
  ordered_json json = {{"tokens", as_of.tokens}};
  json["bit_for_bit"] = as_of.bit_for_bit ? ordered_json(*as_of.bit_for_bit) : ordered_json();
  json["refusal"] = as_of.refusal.empty() ? ordered_json() : ordered_json(as_of.refusal);
  return json;
}

std::string losses_table(const VerifyReport& result, const Style& style) {
  Table table({{"task", Align::left}, {"before"}, {"after"}, {"rise"}, {"at most"}, {"limit"}, {"tokens"}, {""}});
  for (const VerifiedTask& task : result.tasks) {
    const bool by_bound = task.bound && task.limit == *task.bound;
    table.add_row({task.task, format_fixed(task.against), format_fixed(task.loss), format_signed(task.rise()),
                   task.bound ? format_at_most(*task.bound) : "-",
                   by_bound ? format_at_most(task.limit) : format_signed(task.limit), format_count(task.tokens),
                   task.failure.empty() ? "holds" : "DOES NOT HOLD"});
  }
  return table.str(style);
}

void write_objects(std::ostream& text, const VersionDiff& objects) {
  const ModuleCounts counts = count_changes(objects);
  text << "objects   " << objects.same_modules << " modules and " << format_counted(objects.same_trunk, "part")
       << " of the trunk are the same in both; modules: " << counts.added << " added, " << counts.removed
       << " removed, " << counts.retrained << " retrained; "
       << format_counted(static_cast<std::int64_t>(objects.trunk.size()), "part") << " of the trunk and "
       << format_counted(static_cast<std::int64_t>(objects.old_routers.size()), "router") << " changed\n";
}

void write_as_of(std::ostream& text, const VerifyReport& result) {
  const BroughtBack& as_of = result.as_of;
  text << "as of     ";
  if (!as_of.refusal.empty()) {
    text << "not compared: " << as_of.refusal << '\n';
  } else {
    text << "logits of " << format_count(as_of.tokens) << " tokens, masked as of " << to_string(result.against) << ": "
         << (*as_of.bit_for_bit ? "the same, bit for bit" : "NOT THE SAME") << '\n';
  }
}

void write_text(Report& report, const VerifyReport& result) {
  std::ostream& text = report.text();
  text << losses_table(result, report.style()) << "held-out text; loss in nats per token: less is better\n";
  for (const std::string& task : result.without_text) text << "no held-out text, not measured: " << task << '\n';
  if (!result.same_version) {
    write_objects(text, result.objects);
    write_as_of(text, result);
  }
  for (const std::string& failure : result.failures) text << "failed    " << failure << '\n';
  text << (result.holds() ? "holds: " : "does not hold: ") << to_string(result) << '\n';
}

void run_verify(const VerifyFlags& flags, const GlobalOptions& global) {
  Workspace workspace(global, "verify", OpenMode::read_only);
  const LoadedVersion version = load_version(workspace.registry(), workspace.registry().resolve(flags.version));
  const VerifyReport result =
      workspace.run([&] { return verify(workspace.computing_session(), version, flags.command); });
  Report report("verify", global.json);
  report.data() = {{"model", to_string(result.version)},
                   {"hash", result.version.hash},
                   {"model_version", version_json(result.version)},
                   {"against", version_json(result.against)},
                   {"holds", result.holds()},
                   {"failures", result.failures},
                   {"same_version", result.same_version},
                   {"max_rise", number_or_null(flags.command.max_rise)},
                   {"context", result.context},
                   {"without_text", result.without_text},
                   {"objects", objects_json(result.objects)},
                   {"as_of", brought_back_json(result.as_of)}};
  auto& rows = report.data()["tasks"] = ordered_json::array();
  for (const VerifiedTask& task : result.tasks) rows.push_back(verified_json(task));
  write_text(report, result);
  report.print();
  if (result.holds()) return;
  throw Error("does not hold: " + to_string(result),
              "mformer diff " + to_string(result.against) + " " + to_string(result.version) + " shows what changed");
}

}  // namespace

void setup_verify(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<VerifyFlags>();
  VerifyCommand& options = flags->command;
  CLI::App* command = add_command(
      parent, {"verify", groups::inspect, "Check that a version keeps what another could; exit 1 if it does not",
               "mformer verify base@4 --against base@2 --max-rise 0.003"});
  command->add_option("REF", flags->version, "name, name@N or version-hash prefix")->required();
  command->add_option("--against", options.against, "Version whose losses must not rise")->required()->type_name("REF");
  command
      ->add_option("--max-rise", options.max_rise,
                   "Nats per token that any task's loss may rise by; default: the bound of domains that came since, "
                   "where only such came, else 0")
      ->check(non_negative_number());
  command->add_option("--task", options.tasks, "Tasks to measure; default: all that have held-out text")
      ->type_name("NAME");
  command->add_flag("--unchanged", options.unchanged,
                    "Fail also where what the older version is made of is no longer there bit for bit");
  command->add_option("--max-tokens", options.max_tokens, "Held-out tokens per task, spread evenly; default: all")
      ->check(positive_integer());
  computes(*command, [flags, &global] { run_verify(*flags, global); });
}

}  // namespace mformer::cli
