#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/terminal/report.h"
#include "core/workflows/names.h"

namespace mformer::cli {
namespace {

struct UseOptions {
  std::string ref;
  bool dry_run = false;
};

bool is_model(const Registry& registry, const std::string& name) {
  for (const ModelRecord& model : registry.models()) {
    if (model.name == name) return true;
  }
  return false;
}

void run_use(const UseOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "use", mode_of(options.dry_run), {{"ref", options.ref}});
  Registry& registry = workspace.registry();
  const VersionRecord target = registry.resolve(options.ref);
  require_not_removed(target, options.ref);
  const std::string model = is_model(registry, options.ref) ? options.ref : target.model;
  const VersionRecord stands_at = registry.version(registry.model(model).current_version);
  const bool looks = stands_at.hash != target.hash;
  if (!options.dry_run) {
    run_operation(workspace.session(), model, {}, [&](std::int64_t operation) {
      registry.atomically([&] {
        looks ? registry.look_at(target.hash) : registry.set_current_model(model);
        registry.finish_operation(operation, Outcome::done, looks ? "looking at " + to_string(target) : "");
      });
    });
  }
  const std::string what = looks ? "at " + to_string(target) + "; " + model + " stays at " + to_string(stands_at)
                                 : model + " at " + to_string(target);
  terminal::Report report("use", global.json);
  report.data() = {
      {"dry_run", options.dry_run},    {"model", model},  {"moved", false}, {"before", version_json(stands_at)},
      {"after", version_json(target)}, {"looking", looks}};
  report.text() << (options.dry_run ? (looks ? "would look " : "would use ") : (looks ? "looking " : "using ")) << what
                << '\n';
  if (looks) {
    const std::string program = program_of(global);
    report.text() << "back: " << program << " use " << model << "; to go on from it: " << program << " branch NAME "
                  << to_string(target) << "; to move " << model << " itself: " << program << " move " << model << ' '
                  << to_string(target) << '\n';
  }
  tell(options.dry_run ? "" : (looks ? "looking " : "using ") + what, "mformer models", [&] { report.print(); });
}

}  // namespace

void setup_use(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<UseOptions>();
  CLI::App* command = add_command(
      parent, {"use", groups::registry, "Make a model the current one, or look at a version", "mformer use base@1"});
  command
      ->add_option(
          "REF", options->ref,
          "A model's name, or name@N, a tag or a version-hash prefix: commands that name no model then read that "
          "version, and no model moves")
      ->required();
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_use(*options, global); });
}

}  // namespace mformer::cli
