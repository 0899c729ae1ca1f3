#include "core/workflows/prune.h"

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/help.h"
#include "cli/hypothesis_report.h"
#include "cli/made.h"
#include "cli/prune_report.h"
#include "cli/train_options.h"
#include "cli/tune_options.h"
#include "cli/validators.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

struct PruneFlags {
  PruneCommand command;
  ChoiceFlags choice;
  const CLI::Option* learning_rate = nullptr;
  bool show_map = false;
};

void understand(PruneFlags& flags) {
  static_cast<ModuleChoice&>(flags.command) = flags.choice.read();
  flags.command.validate();
}

void run_prune(PruneFlags flags, nlohmann::ordered_json arguments, const GlobalOptions& global) {
  PruneCommand& command = flags.command;
  if (command.tune_steps > 0 && flags.learning_rate->count() == 0) command.options.learning_rate = kTuneLearningRate;
  arguments["lr"] = command.options.learning_rate;
  set_seed(command.options, global);
  Workspace workspace(global, "prune", mode_of(command.dry_run), arguments);
  const LoadedVersion base = workspace.load();
  const PruneReport result = workspace.run([&] { return prune(workspace.computing_session(), base, command); });
  tell(result.version, [&] {
    terminal::Report report("prune", global.json);
    report_hypothesis(report, result.hypothesis);
    report_left_out(report, result.hypothesis, base.record, result.version, global);
    report_pruning(report, hypothesis_of(base, result.hypothesis.name), result, flags.show_map);
    report_cut_off(report, result.version, result.cut_off, global);
    report.print();
  });
}

void add_prune_flags(CLI::App& command, PruneFlags& flags) {
  add_choice_flags(command, flags.choice)->required();
  command.add_option("--tune-steps", flags.command.tune_steps, "Steps that then train all that is left on the task")
      ->check(non_negative_integer());
  command
      .add_option("--heal-steps", flags.command.heal_steps,
                  "Steps that train only the routers of what is left on the task")
      ->check(non_negative_integer());
  add_domain_flag(command, flags.command.domain);
  add_distill_flags(command, flags.command.loss);
  command.add_flag("--map", flags.show_map, "Also list each module's old and new place");
}

}  // namespace

void setup_prune(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<PruneFlags>();
  CLI::App* command =
      add_command(parent, {"prune", groups::learning, "Make a smaller version with the modules that a task uses",
                           "mformer prune --task qa --keep 0.3 --tune-steps 200"});
  add_prune_flags(*command, *flags);
  add_step_flags(*command, flags->command.options);
  add_validation_flags(*command, flags->command.validation);
  add_task_flags(*command, flags->command);
  flags->learning_rate = command->get_option("--lr");
  command->get_option("--lr")->description("Peak learning rate; default: " + written(kTuneLearningRate) +
                                           " with --tune-steps, " + written(StepOptions().learning_rate) + " to heal");
  computes(
      *command, [flags] { understand(*flags); },
      [flags, command, &global] { run_prune(*flags, arguments_of(*command), global); });
}

}  // namespace mformer::cli
