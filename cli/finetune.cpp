#include "cli/command.h"
#include "cli/train_options.h"
#include "cli/train_report.h"
#include "cli/validators.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

nlohmann::ordered_json arguments_of(const FinetuneCommand& options) {
  nlohmann::ordered_json arguments = train_arguments(options);
  arguments.update({{"modules", options.modules}, {"concentrate", options.concentrate}, {"sharpen", options.sharpen}});
  return arguments;
}

void run_finetune(FinetuneCommand options, const GlobalOptions& global) {
  set_seed(options.options, global);
  Workspace workspace(global, "finetune", OpenMode::read_write, arguments_of(options));
  const LoadedVersion base = workspace.load();
  const TrainReport result = workspace.run([&] { return finetune(workspace.session(), base, options); });
  terminal::Report report("finetune", global.json);
  report_training(report, result, size_of(base.model).bytes);
  report.print();
}

}  // namespace

void setup_finetune(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<FinetuneCommand>();
  options->options.steps = 200;
  options->options.learning_rate = 3e-4;  // trained weights are moved gently
  CLI::App* command = add_command(parent, {"finetune", groups::learning, "Train chosen modules and their router rows",
                                           "mformer finetune --task qa --data qa/ --modules kind=mlp,layer=2-3"});
  command
      ->add_option(
          "--modules", options->modules,
          "What is trained: clauses such as kind=mlp,layer=0-3,born=extend:de or share(qa)>=0.02; default: all")
      ->type_name("SELECTOR");
  command
      ->add_option("--concentrate", options->concentrate,
                   "Weight of the entropy of the mean routing: the task settles on few modules; default: 0")
      ->check(non_negative_number());
  command->add_option("--sharpen", options->sharpen, "Weight of the entropy of each token's routing; default: 0")
      ->check(non_negative_number());
  add_train_flags(*command, *options);
  command->callback([options, &global] { run_finetune(*options, global); });
}

}  // namespace mformer::cli
