#include "core/workflows/prune.h"

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/prune_report.h"
#include "cli/train_options.h"
#include "cli/validators.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

struct PruneFlags {
  PruneCommand command;
  std::string criterion = "gate-mass";
  std::string scope = "layer";
  bool show_map = false;
};

PruneScope scope_from_string(const std::string& text) {
  if (text == "layer") return PruneScope::layer;
  if (text == "global") return PruneScope::global;
  throw UsageError("unknown scope '" + text + "'", "known scopes: layer, global");
}

nlohmann::ordered_json arguments_of(const PruneFlags& flags) {
  const PruneCommand& command = flags.command;
  nlohmann::ordered_json arguments = {{"keep", command.keep},
                                      {"criterion", flags.criterion},
                                      {"scope", flags.scope},
                                      {"stat_tokens", command.stat_tokens},
                                      {"heal_steps", command.heal_steps}};
  arguments.update(train_arguments(command));
  arguments.erase("steps");  // heal_steps says it
  return arguments;
}

void run_prune(PruneFlags flags, const GlobalOptions& global) {
  PruneCommand& command = flags.command;
  command.criterion = criterion_from_string(flags.criterion);
  command.scope = scope_from_string(flags.scope);
  set_seed(command.options, global);
  const OpenMode mode = command.dry_run ? OpenMode::read_only : OpenMode::read_write;
  Workspace workspace(global, "prune", mode, arguments_of(flags));
  const LoadedVersion base = workspace.load();
  const PruneReport result = workspace.run([&] { return prune(workspace.session(), base, command); });
  terminal::Report report("prune", global.json);
  report_pruning(report, base, result, flags.show_map);
  report.print();
}

void add_prune_flags(CLI::App& command, PruneFlags& flags) {
  command
      .add_option("--keep", flags.command.keep,
                  "Share of the modules of each kind that stays, rounded up, and never fewer in a layer than a token "
                  "uses")
      ->required()
      ->check(fraction());
  command
      .add_option("--criterion", flags.criterion,
                  "What a module is worth to the task: frequency, gate-mass, reap, norm or random; default: "
                  "gate-mass")
      ->type_name("NAME");
  command
      .add_option("--scope", flags.scope,
                  "Where the share is kept: in each layer, or of all layers together; default: layer")
      ->type_name("layer|global");
  command
      .add_option("--stat-tokens", flags.command.stat_tokens,
                  "Training tokens that the criterion looks at, 0 = all; default: 65536")
      ->check(non_negative_integer());
  command
      .add_option("--heal-steps", flags.command.heal_steps,
                  "Steps that train the routers of what is left on the task; default: 0")
      ->check(non_negative_integer());
  command.add_flag("--map", flags.show_map, "Also list each module's old and new place");
}

}  // namespace

void setup_prune(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<PruneFlags>();
  CLI::App* command =
      add_command(parent, {"prune", groups::learning, "Make a smaller version with the modules that a task uses",
                           "mformer prune --task qa --keep 0.3"});
  add_prune_flags(*command, *flags);
  add_train_flags(*command, flags->command);
  command->remove_option(command->get_option("--steps"));  // --heal-steps says it
  command->callback([flags, &global] { run_prune(*flags, global); });
}

}  // namespace mformer::cli
