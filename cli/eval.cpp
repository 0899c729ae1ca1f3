#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/workflows/evaluate_tasks.h"

namespace mformer::cli {
namespace {

using namespace terminal;
using nlohmann::ordered_json;

void report_rows(Report& report, const EvalReport& result) {
  auto& rows = report.data()["tasks"] = ordered_json::array();
  Table table({{"task", Align::left}, {"loss"}, {"perplexity"}, {"tokens"}});
  for (const EvalRow& row : result.rows) {
    if (!row.held_out) {
      rows.push_back({{"task", row.task}, {"loss", nullptr}, {"perplexity", nullptr}, {"tokens", 0}});
      table.add_row({row.task, "-", "-", "0"});
      continue;
    }
    const Evaluation& held_out = *row.held_out;
    rows.push_back({{"task", row.task},
                    {"loss", held_out.loss},
                    {"perplexity", held_out.perplexity()},
                    {"tokens", held_out.tokens}});
    table.add_row(
        {row.task, format_fixed(held_out.loss), format_fixed(held_out.perplexity(), 2), format_count(held_out.tokens)});
  }
  report.text() << table.str(report.style()) << "held-out text; loss in nats per token: less is better\n";
}

void run_eval(const EvalCommand& options, const GlobalOptions& global) {
  const OpenMode mode = mode_for_measuring(global);
  Workspace workspace(global, "eval", mode);
  const LoadedVersion version = workspace.load();
  const EvalReport result = workspace.run(
      [&] { return evaluate_tasks(workspace.session(), version, options, mode == OpenMode::read_write); });
  Report report("eval", global.json);
  report.data()["model"] = to_string(version.record);
  report.data()["hash"] = version.record.hash;
  report.text() << to_string(version.record);
  if (options.as_of.empty()) {
    report.data()["as_of"] = nullptr;
  } else {
    const VersionRecord as_of = workspace.registry().resolve(options.as_of);
    report.data()["as_of"] = version_json(as_of);
    report.text() << " as of " << to_string(as_of) << ": " << format_count(result.masked_modules)
                  << " modules born later are masked";
  }
  report.data()["masked_modules"] = result.masked_modules;
  report.text() << '\n';
  report_rows(report, result);
  report.print();
}

}  // namespace

void setup_eval(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<EvalCommand>();
  CLI::App* command =
      add_command(parent, {"eval", groups::inspect, "Measure the loss on held-out text", "mformer eval --task qa"});
  command->add_option("--task", options->tasks, "Tasks to measure; default: all that are known")->type_name("NAME");
  command->add_option("--data", options->data, "Folder or file of text instead of tasks")->type_name("DIR");
  command->add_option("--as-of", options->as_of, "Mask the modules born after this version: the model as it was then")
      ->type_name("REF");
  command->add_option("--max-tokens", options->max_tokens, "Held-out tokens per task, spread evenly; default: all")
      ->check(positive_integer());
  command->add_option("--context", options->context, "Tokens a sequence; default: the model's block size")
      ->check(positive_integer());
  command->callback([options, &global] { run_eval(*options, global); });
}

}  // namespace mformer::cli
