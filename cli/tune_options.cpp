#include "cli/tune_options.h"

#include "cli/validators.h"

namespace mformer::cli {

ModuleChoice ChoiceFlags::read() const {
  ModuleChoice result = choice;
  result.criterion = criterion_from_string(criterion);
  result.scope = scope_from_string(scope);
  return result;
}

CLI::Option* add_choice_flags(CLI::App& command, ChoiceFlags& flags) {
  CLI::Option* keep = command.add_option("--keep", flags.choice.keep,
                                         "Share of the modules of each kind that stays, rounded up, and never fewer "
                                         "in a layer than a token uses");
  keep->check(fraction());
  command
      .add_option("--criterion", flags.criterion,
                  "What a module is worth to the task: frequency, gate-mass, reap, norm or random")
      ->type_name("NAME");
  command.add_option("--scope", flags.scope, "Where the share is kept: in each layer, or of all layers together")
      ->type_name("layer|global");
  command.add_flag("--equal", flags.choice.equal,
                   "Keep as many in every layer, as readers of other families' checkpoints need");
  command.add_option("--stat-tokens", flags.choice.stat_tokens, "Training tokens that the criterion looks at, 0 = all")
      ->check(non_negative_integer());
  return keep;
}

void add_distill_flags(CLI::App& command, TuneLoss& loss) {
  command.add_option("--distill", loss.distill, "Weight of the divergence from a teacher's predictions in the loss")
      ->check(non_negative_number());
  command
      .add_option("--distill-temperature", loss.temperature,
                  "Divides the logits of teacher and student before they are compared")
      ->check(positive_number());
  command.add_option("--teacher", loss.teacher, "Version to learn from; default: the one that is changed, before that")
      ->type_name("REF");
}

void add_domain_flag(CLI::App& command, std::string& domain) {
  command
      .add_option("--domain", domain,
                  "Of a model with domains, the one that is worked on, or base; default: the one that reads the task")
      ->type_name("NAME");
}

}  // namespace mformer::cli
