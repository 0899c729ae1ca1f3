#include "core/workflows/finetune.h"

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/hypothesis_report.h"
#include "cli/made.h"
#include "cli/prune_report.h"
#include "cli/terminal/format.h"
#include "cli/terminal/table.h"
#include "cli/train_options.h"
#include "cli/train_report.h"
#include "cli/tune_options.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/workspace/selector_syntax.h"

namespace mformer::cli {
namespace {

struct FinetuneFlags {
  FinetuneCommand command;
  ChoiceFlags choice;
  const CLI::Option* keep = nullptr;
  std::vector<const CLI::Option*> of_keep;  ///< Options that mean nothing without --keep.
};

void read_choice(FinetuneFlags& flags) {
  if (flags.keep->count() > 0) {
    flags.command.choice = flags.choice.read();
    return;
  }
  for (const CLI::Option* option : flags.of_keep) {
    if (option->count() == 0) continue;
    throw UsageError(option->get_name() + " says which modules stay, but all stay without --keep",
                     "for example --keep 0.3");
  }
}

void report_concentration(terminal::Report& report, const FinetuneReport& result) {
  auto& rows = report.data()["concentration"] = nlohmann::ordered_json::array();
  if (result.concentration.empty()) return;
  terminal::Table table({{"task"}, {"before"}, {"after"}});
  for (const TaskConcentration& task : result.concentration) {
    rows.push_back({{"task", task.task}, {"before", task.before}, {"after", task.after}});
    table.add_row({task.task, terminal::format_percent(task.before), terminal::format_percent(task.after)});
  }
  report.text() << "\nshare of the modules in use that takes 90 % of the routing slots\n" << table.str(report.style());
}

void report_choice(terminal::Report& report, const LoadedVersion& base, const FinetuneReport& result) {
  if (!result.kept.has_value()) return;
  report.data()["parameters"] = {{"before", result.size_before.weights}, {"after", result.size_after.weights}};
  report.text() << '\n';
  report_kept(report, base, *result.kept);
  report.text() << terminal::format_count(result.size_before.weights) << " parameters "
                << (result.version ? "became " : "would become ") << terminal::format_count(result.size_after.weights)
                << '\n';
}

void run_finetune(FinetuneFlags flags, nlohmann::ordered_json arguments, const GlobalOptions& global) {
  if (!flags.command.choice) {
    for (const char* unused : {"keep", "criterion", "scope", "stat_tokens"}) arguments.erase(unused);
  }
  set_seed(flags.command.options, global);
  Workspace workspace(global, "finetune", mode_of(flags.command.dry_run), arguments);
  const LoadedVersion base = workspace.load();
  const FinetuneReport result =
      workspace.run([&] { return finetune(workspace.computing_session(), base, flags.command); });
  tell(result.version, [&] {
    terminal::Report report("finetune", global.json);
    report_hypothesis(report, result.hypothesis);
    if (result.in_place) {
      report.text() << "trained are the modules of '" << result.hypothesis.name
                    << "' alone: all other hypotheses stay as they are\n";
    }
    report.data()["in_place"] = result.in_place;
    report_left_out(report, result.hypothesis, base.record, result.version, global);
    report_training(report, result, result.size_after.bytes);
    report_choice(report, hypothesis_of(base, result.hypothesis.name), result);
    report_concentration(report, result);
    report_cut_off(report, result.version, result.cut_off, global);
    report.print();
  });
}

void add_finetune_flags(CLI::App& command, FinetuneFlags& flags) {
  TuneLoss& loss = flags.command.loss;
  command
      .add_option(
          "--modules", flags.command.modules,
          "What is trained: clauses such as kind=mlp,layer=0-3,born=extend:de or share(qa)>=0.02; default: all, "
          "of a domain its own, and with --keep everything that stays, trunk included")
      ->type_name("SELECTOR");
  CLI::Option* keep = add_choice_flags(command, flags.choice);
  keep->description(keep->get_description() + "; default: all stay");
  flags.keep = keep;
  for (const char* name : {"--criterion", "--scope", "--equal", "--stat-tokens"}) {
    flags.of_keep.push_back(command.get_option(name));
  }
  command
      .add_option("--concentrate", loss.concentrate,
                  "Weight of the entropy of the mean routing: the task settles on few modules")
      ->check(non_negative_number());
  command.add_option("--sharpen", loss.sharpen, "Weight of the entropy of each token's routing")
      ->check(non_negative_number());
  command
      .add_option("--concentrate-warmup", loss.concentrate_warmup,
                  "Share of the steps over which these two weights grow from 0")
      ->check(share());
  add_domain_flag(command, flags.command.domain);
  add_distill_flags(command, loss);
}

}  // namespace

void setup_finetune(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<FinetuneFlags>();
  flags->command.options.steps = 200;
  flags->command.options.learning_rate = kTuneLearningRate;
  CLI::App* command = add_command(parent, {"finetune", groups::learning, "Train chosen modules, or keep and train few",
                                           "mformer finetune --task qa --data qa/ --keep 0.3"});
  add_finetune_flags(*command, *flags);
  add_train_flags(*command, flags->command);
  computes(
      *command,
      [flags] {
        read_choice(*flags);
        flags->command.validate();
      },
      [flags, command, &global] { run_finetune(*flags, arguments_of(*command), global); });
}

}  // namespace mformer::cli
