#include "core/workflows/upcycle.h"

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/help.h"
#include "cli/made.h"
#include "cli/train_options.h"
#include "cli/tune_options.h"
#include "cli/upcycle_report.h"
#include "cli/validators.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

constexpr double kSlicesLearn = 1;  // weight of distillation, where nobody says

struct UpcycleFlags {
  UpcycleCommand command;
  const CLI::Option* distill = nullptr;
  const CLI::Option* lower = nullptr;
  const CLI::Option* stat_tokens = nullptr;
};

void understand(UpcycleFlags& flags) {
  UpcycleCommand& command = flags.command;
  // Slices learn from the layer that they were; copies need not.
  if (flags.distill->count() == 0 && !command.copies() && command.steps > 0) command.loss.distill = kSlicesLearn;
  if (flags.lower->count() > 0 && (command.copies() || command.steps == 0)) {
    throw UsageError("--lower is about the steps in which fewer and fewer slices are chosen",
                     "it goes with --slices and --steps");
  }
  if (flags.stat_tokens->count() > 0 && !command.fits_routers()) {
    throw UsageError("--stat-tokens is about which slices a token needs, where not all are taken",
                     "it goes with --slices N and a smaller --k");
  }
  command.validate();
}

void run_upcycle(UpcycleFlags flags, nlohmann::ordered_json arguments, const GlobalOptions& global) {
  UpcycleCommand& command = flags.command;
  arguments["distill"] = command.loss.distill;
  set_seed(command.options, global);
  Workspace workspace(global, "upcycle", mode_of(command.dry_run), arguments);
  const LoadedVersion base = workspace.load();
  const UpcycleReport result = workspace.run([&] { return upcycle(workspace.computing_session(), base, command); });
  tell(result.version, [&] {
    terminal::Report report("upcycle", global.json);
    report_upcycling(report, base, command, result);
    report_cut_off(report, result.version, result.cut_off, global);
    report.print();
  });
}

void add_upcycle_flags(CLI::App& command, UpcycleFlags& flags) {
  UpcycleCommand& options = flags.command;
  command
      .add_option("--experts", options.experts, "Copies of each dense feed-forward layer: larger, and exact at once")
      ->check(positive_integer());
  command
      .add_option("--slices", options.slices,
                  "Parts of each dense feed-forward layer, which divide its width: as large, and fewer are computed")
      ->check(positive_integer());
  command.add_option("--k", options.k, "Modules that a router chooses for each token")
      ->check(positive_integer())
      ->required();
  command
      .add_option("--noise", options.noise,
                  "Copies: noise that tells them apart, as a share of the weights' spread; 0 = their routers alone do")
      ->check(share());
  command
      .add_option("--balance", options.balance,
                  "Weight of the balance loss, now and later; default: of copies " + written(UpcyclePlan::kBalance) +
                      ", of slices none")
      ->check(non_negative_number());
  flags.stat_tokens =
      command
          .add_option("--stat-tokens", options.stat_tokens,
                      "Slices: training tokens by which routers first learn which slices matter, 0 = all")
          ->check(non_negative_integer());
  command.add_option("--steps", options.steps, "Steps of training everything on the task, 0 = none")
      ->check(non_negative_integer())
      ->group("Training");
  flags.lower = command
                    .add_option("--lower", options.lower,
                                "Slices: share of the steps over which the number chosen goes from all down to --k")
                    ->check(share())
                    ->group("Training");
  add_step_flags(command, options.options);
  add_eval_every(command, options.eval_every);
  add_distill_flags(command, options.loss);
  CLI::Option* distill = command.get_option("--distill");
  distill->description(distill->get_description() + "; default: of slices " + written(kSlicesLearn) +
                       ", of copies none");
  flags.distill = distill;
  add_task_flags(command, options);
}

}  // namespace

void setup_upcycle(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<UpcycleFlags>();
  flags->command.options.learning_rate = kTuneLearningRate;
  CLI::App* command =
      add_command(parent, {"upcycle", groups::learning, "Make modules of dense feed-forward layers, behind routers",
                           "mformer upcycle --experts 4 --k 2 --into modular"});
  add_upcycle_flags(*command, *flags);
  computes(
      *command, [flags] { understand(*flags); },
      [flags, command, &global] { run_upcycle(*flags, arguments_of(*command), global); });
}

}  // namespace mformer::cli
