#include "core/workflows/graft.h"

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/made.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/train_options.h"
#include "cli/train_report.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

struct GraftFlags {
  GraftCommand command;
  std::string small, full;
};

void report_graft(terminal::Report& report, const LoadedVersion& full, const LoadedVersion& small,
                  const GraftReport& result) {
  using terminal::format_count;
  auto& data = report.data();
  data["dry_run"] = !result.version.has_value();
  data["full"] = to_string(full.record);
  data["small"] = to_string(small.record);
  data["domain"] = result.domain;
  data["new_modules"] = {{"att", result.att_modules}, {"mlp", result.mlp_modules}};
  data["private_parameters"] = result.private_weights;
  data["parameters"] = {{"before", result.size_before.weights}, {"after", result.size_after.weights}};
  std::ostream& text = report.text();
  if (result.version) {
    fill_made(data, *result.version, result.kept_beside);
    data["tasks"] = tasks_json(result.tasks);
    data["added_bytes"] = result.added_bytes;
    text << "made " << to_string(*result.version) << " from " << to_string(full.record) << " and "
         << to_string(small.record)
         << (result.kept_beside ? ", a model of its own: another command moved the model meanwhile\n\n" : "\n\n")
         << tasks_table(result.tasks, report.style())
         << "losses on held-out text, in nats per token: less is better; - = the task has no such text\n\n";
  }
  text << (result.version ? "domain    " : "would add the domain ") << result.domain << ": " << result.att_modules
       << " attention and " << result.mlp_modules << " feed-forward modules, " << format_count(result.private_weights)
       << " private parameters of trunk and routers\n"
       << format_count(result.size_before.weights) << " parameters become " << format_count(result.size_after.weights)
       << '\n';
}

/// The full model is the one that changes: --onto stands where other commands have --model.
void run_graft(const GraftFlags& flags, const nlohmann::ordered_json& arguments, const GlobalOptions& global) {
  GlobalOptions of_full = global;
  if (!flags.full.empty()) of_full.model = flags.full;
  Workspace workspace(of_full, "graft", mode_of(flags.command.dry_run), arguments);
  const LoadedVersion full = workspace.load();
  const LoadedVersion small = load_version(workspace.registry(), workspace.registry().resolve(flags.small));
  const GraftReport result =
      workspace.run([&] { return graft(workspace.computing_session(), full, small, flags.command); });
  tell(result.version, [&] {
    terminal::Report report("graft", global.json);
    report_graft(report, full, small, result);
    report_cut_off(report, result.version, result.cut_off, global);
    report.print();
  });
}

}  // namespace

void setup_graft(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<GraftFlags>();
  CLI::App* command =
      add_command(parent, {"graft", groups::learning, "Put a tuned small version back into the full one",
                           "mformer graft qa-small --onto base"});
  command->add_option("SMALL", flags->small, "Version that prune or finetune --keep made from the full one")
      ->required();
  command->add_option("--onto", flags->full, "The full version; default: the current model")->type_name("REF");
  command
      ->add_option("--domain", flags->command.domain,
                   "Name of the domain that it becomes; default: the task that it was made for")
      ->type_name("NAME");
  add_version_flags(*command, flags->command.into, flags->command.eval_tokens);
  add_dry_run(*command, flags->command.dry_run);
  computes(
      *command,
      [flags, &global] {
        if (!flags->full.empty() && !global.model.empty()) {
          throw UsageError("--onto and --model both name the model that is changed", "keep --onto");
        }
      },
      [flags, command, &global] { run_graft(*flags, arguments_of(*command), global); });
}

}  // namespace mformer::cli
