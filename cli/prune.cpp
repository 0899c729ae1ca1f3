#include "core/workflows/prune.h"

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/made.h"
#include "cli/prune_report.h"
#include "cli/train_options.h"
#include "cli/tune_options.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/workflows/hypothesis.h"

namespace mformer::cli {
namespace {

struct PruneFlags {
  PruneCommand command;
  ChoiceFlags choice;
  const CLI::Option* learning_rate = nullptr;
  bool show_map = false;
};

nlohmann::ordered_json arguments_of(const PruneFlags& flags) {
  nlohmann::ordered_json arguments = choice_arguments(flags.choice);
  arguments.update({{"heal_steps", flags.command.heal_steps}, {"tune_steps", flags.command.tune_steps}});
  if (!flags.command.domain.empty()) arguments["domain"] = flags.command.domain;
  arguments.update(distill_arguments(flags.command.loss));
  arguments.update(train_arguments(flags.command));
  arguments.erase("steps");  // heal_steps and tune_steps say it
  return arguments;
}

void run_prune(PruneFlags flags, const GlobalOptions& global) {
  PruneCommand& command = flags.command;
  static_cast<ModuleChoice&>(command) = flags.choice.read();
  if (command.tune_steps > 0 && flags.learning_rate->count() == 0) command.options.learning_rate = kTuneLearningRate;
  set_seed(command.options, global);
  const OpenMode mode = command.dry_run ? OpenMode::read_only : OpenMode::read_write;
  Workspace workspace(global, "prune", mode, arguments_of(flags));
  const LoadedVersion base = workspace.load();
  const PruneReport result = workspace.run([&] { return prune(workspace.computing_session(), base, command); });
  tell(result.version, [&] {
    terminal::Report report("prune", global.json);
    report_pruning(report, hypothesis_of(base, command.domain), result, flags.show_map);
    report_cut_off(report, result.version, result.cut_off);
    report.print();
  });
}

void add_prune_flags(CLI::App& command, PruneFlags& flags) {
  add_choice_flags(command, flags.choice)->required();
  command
      .add_option("--tune-steps", flags.command.tune_steps,
                  "Steps that then train all that is left on the task; default: 0")
      ->check(non_negative_integer());
  command
      .add_option("--heal-steps", flags.command.heal_steps,
                  "Steps that train only the routers of what is left on the task; default: 0")
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
  add_train_flags(*command, flags->command);
  command->remove_option(command->get_option("--steps"));  // --tune-steps and --heal-steps say it
  flags->learning_rate = command->get_option("--lr");
  command->get_option("--lr")->description("Peak learning rate; default: 0.0003 with --tune-steps, 0.001 to heal");
  command->callback([flags, &global] { run_prune(*flags, global); });
}

}  // namespace mformer::cli
