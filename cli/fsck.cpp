#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/registry_workspace.h"
#include "cli/terminal/report.h"
#include "cli/terminal/stages.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

struct FsckOptions {
  bool repair = false;
  RepairOptions how;
  std::vector<std::string> sources;
};

void require_repair(const FsckOptions& options) {
  if (options.repair || (options.sources.empty() && !options.how.reseal)) return;
  throw UsageError("--from and --reseal say how to repair", "add --repair");
}

RepairResult check_or_repair(Registry& registry, const FsckOptions& options) {
  if (!options.repair) return {{}, registry.fsck()};
  RepairOptions how = options.how;
  how.sources.assign(options.sources.begin(), options.sources.end());
  return registry.repair(how);
}

std::string repair_hint(const FsckOptions& options) {
  if (!options.repair) return "mformer fsck --repair heals what can be healed; docs/registry.md says what";
  return "versions that do not use the damaged objects still work: mformer use NAME@N; docs/registry.md says how to "
         "restore from a copy";
}

void run_fsck(const FsckOptions& options, const GlobalOptions& global) {
  require_repair(options);
  RegistryWorkspace workspace(global, "fsck", options.repair ? OpenMode::repair : OpenMode::read_only);
  terminal::Stages stages(terminal::progress_options(global.quiet));
  workspace.registry().show_progress(
      [&](const std::string& what, std::int64_t done, std::int64_t total) { stages.update(what, done, total); });
  const RepairResult result = check_or_repair(workspace.registry(), options);
  stages.end();
  const std::vector<std::string>& problems = result.left;
  const std::size_t objects = workspace.registry().objects().list().size();
  terminal::Report report("fsck", global.json);
  report.data() = {
      {"sound", problems.empty()}, {"objects", objects}, {"problems", problems}, {"healed", result.healed}};
  for (const std::string& done : result.healed) report.text() << "healed: " << done << '\n';
  for (const std::string& problem : problems) report.text() << problem << '\n';
  if (problems.empty()) report.text() << "the workspace is sound: " << objects << " objects read and checked\n";
  report.print();
  if (problems.empty()) return;
  throw Error(
      "the workspace has " + std::to_string(problems.size()) + (problems.size() == 1 ? " problem" : " problems"),
      repair_hint(options));
}

}  // namespace

void setup_fsck(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<FsckOptions>();
  CLI::App* command =
      add_command(parent, {"fsck", groups::registry,
                           "Read every object again and check every row and reference; exit 1 if anything is wrong",
                           "mformer fsck"});
  command->add_flag("--repair", options->repair, "Heal what can be healed, and say what");
  command
      ->add_option("--from", options->sources,
                   "With --repair: a workspace that may have good copies of damaged objects; more than once: all are "
                   "tried")
      ->type_name("DIR");
  command->add_flag(
      "--reseal", options->how.reseal,
      "With --repair: take all rows of the registry as they are for right, e.g. after an edit of your own");
  command->callback([options, &global] { run_fsck(*options, global); });
}

}  // namespace mformer::cli
