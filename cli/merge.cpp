#include "core/workflows/merge.h"

#include <filesystem>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/computes.h"
#include "cli/made.h"
#include "cli/merge_report.h"
#include "cli/train_options.h"
#include "cli/validators.h"
#include "cli/workspace.h"

namespace mformer::cli {
namespace {

struct MergeFlags {
  MergeCommand command;
  std::string a, b, from;
  std::vector<std::string> renames;
};

/// "old=new" of each --rename.
std::map<std::string, std::string> renames_of(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> renames;
  for (const std::string& text : texts) {
    const std::size_t at = text.find('=');
    if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
      throw UsageError("--rename " + text + " can't be read", "write old=new, for example --rename german=german-2");
    }
    require_valid_name("domain", text.substr(at + 1));
    const std::string name = text.substr(0, at);
    if (!renames.emplace(name, text.substr(at + 1)).second) {
      throw UsageError("--rename gives '" + name + "' two names", "give each domain one");
    }
  }
  return renames;
}

/// The options, and which versions the branches were.
nlohmann::ordered_json with_branches(nlohmann::ordered_json arguments, const VersionRecord& a, const VersionRecord& b) {
  arguments.update({{"a", to_string(a)}, {"a_hash", a.hash}, {"b", to_string(b)}, {"b_hash", b.hash}});
  return arguments;
}

/// A branch by its reference: a model's name is also what the merge moves.
LoadedVersion load_branch(const Registry& registry, const VersionRecord& version, const std::string& ref) {
  LoadedVersion branch = load_version(registry, version);
  for (const ModelRecord& model : registry.models()) {
    if (model.name == ref) branch.target = ref;
  }
  return branch;
}

void run_merge(MergeFlags flags, const nlohmann::ordered_json& arguments, const GlobalOptions& global) {
  set_seed(flags.command.options, global);
  Workspace workspace(global, "merge", mode_of(flags.command.dry_run));
  std::optional<Registry> other;
  if (!flags.from.empty()) other = Registry::open(flags.from, OpenMode::read_only);
  const Registry& of_b = other ? *other : workspace.registry();
  const VersionRecord a = workspace.registry().resolve(flags.a), b = of_b.resolve(flags.b);
  workspace.session().arguments_json = arguments_text(with_branches(arguments, a, b));
  const LoadedVersion branch_a = load_branch(workspace.registry(), a, flags.a), branch_b = load_version(of_b, b);
  const MergeReport result =
      workspace.run([&] { return merge(workspace.computing_session(), branch_a, branch_b, flags.command, of_b); });
  tell(result.version, [&] {
    terminal::Report report("merge", global.json);
    report_merge(report, a, b, result);
    report_cut_off(report, result.version, result.cut_off, global);
    report.print();
  });
}

}  // namespace

void setup_merge(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<MergeFlags>();
  CLI::App* command =
      add_command(parent, {"merge", groups::learning, "Make one version with the modules of two extended ones",
                           "mformer merge base french --into both"});
  command->add_option("BRANCH_A", flags->a, "Version that the new one comes from: name, name@N or hash")->required();
  command->add_option("BRANCH_B", flags->b, "Version whose modules and domains it gets too")->required();
  command
      ->add_option("--review-steps", flags->command.review_steps,
                   "Last steps that train the router rows of the new modules on an even mix of both branches' tasks")
      ->check(non_negative_integer());
  command
      ->add_option("--from", flags->from,
                   "Workspace that BRANCH_B lies in, a copy of this one that went its own way; default: this one")
      ->type_name("DIR");
  command->add_option("--rename", flags->renames, "Another name for a domain of BRANCH_B whose name is taken")
      ->type_name("OLD=NEW");
  command->add_option("--into", flags->command.into, "Model that gets the new version; default: BRANCH_A's own")
      ->type_name("NAME");
  add_step_flags(*command, flags->command.options);
  command
      ->add_option("--eval-tokens", flags->command.eval_tokens,
                   "Held-out tokens per task for the losses that are reported, 0 = all")
      ->check(non_negative_integer());
  command->add_flag("--restart", flags->command.restart, "Begin anew instead of going on with an interrupted review");
  add_dry_run(*command, flags->command.dry_run);
  computes(
      *command,
      [flags] {
        flags->command.rename = renames_of(flags->renames);
        flags->command.validate();
      },
      [flags, command, &global] { run_merge(*flags, arguments_of(*command), global); });
}

}  // namespace mformer::cli
