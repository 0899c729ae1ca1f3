#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/computes.h"
#include "cli/made.h"
#include "cli/train_options.h"
#include "cli/train_report.h"
#include "cli/validators.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

void run_train(PretrainCommand options, const nlohmann::ordered_json& arguments, const GlobalOptions& global) {
  set_seed(options.options, global);
  Workspace workspace(global, "train", mode_of(options.dry_run), arguments);
  const LoadedVersion base = workspace.load();
  const TrainReport result = workspace.run([&] { return pretrain(workspace.computing_session(), base, options); });
  tell(result.version, [&] {
    terminal::Report report("train", global.json);
    report_training(report, result, size_of(base.model).bytes);
    report_cut_off(report, result.version, result.cut_off, global);
    report.print();
  });
}

}  // namespace

void setup_train(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<PretrainCommand>();
  CLI::App* command =
      add_command(parent, {"train", groups::learning, "Pretrain the whole model, frozen modules aside, on a data set",
                           "mformer train --data english/ --steps 2000"});
  command->add_option("--replay", options->replay, "Share of training sequences from earlier tasks, below 1")
      ->check(share());
  add_train_flags(*command, *options);
  command
      ->add_option("--pools", options->pools,
                   "Confine a document's tokens to 1/N of the modules of each router, 0 = off")
      ->check(non_negative_integer())
      ->group("Modularity");
  command->add_option("--pool-share", options->pool_share, "Share of the documents that are confined")
      ->check(fraction())
      ->group("Modularity");
  computes(
      *command, [options] { options->validate(); },
      [options, command, &global] { run_train(*options, arguments_of(*command), global); });
}

}  // namespace mformer::cli
