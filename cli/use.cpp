#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/terminal/report.h"
#include "modules_registry/error.h"

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
  if (target.removed) {
    throw Error("'" + options.ref + "' is a version of the model '" + target.model + "', which was removed",
                "bring the model back: mformer undo --model " + target.model +
                    "; or keep the version: mformer tag NAME " + to_string(target));
  }
  const std::string model = is_model(registry, options.ref) ? options.ref : target.model;
  const VersionRecord before = registry.version(registry.model(model).current_version);
  const bool moves = before.hash != target.hash;
  if (!options.dry_run) {
    run_operation(workspace.session(), model, {}, [&](std::int64_t operation) {
      registry.atomically([&] {
        registry.set_current_model(model);
        if (moves) registry.move_model(operation, model, before.hash, target.hash, "moved to " + to_string(target));
        registry.finish_operation(operation, Outcome::done);
      });
    });
  }
  terminal::Report report("use", global.json);
  report.data()["dry_run"] = options.dry_run;
  report.data()["model"] = model;
  report.data()["moved"] = moves;
  report.data()["before"] = version_json(before);
  report.data()["after"] = version_json(target);
  report.text() << (options.dry_run ? "would use " : "using ") << model << " at " << to_string(target);
  if (moves) report.text() << ", moved from " << to_string(before);
  report.text() << '\n';
  tell(options.dry_run ? "" : "using " + model + " at " + to_string(target), "mformer models", [&] { report.print(); });
}

}  // namespace

void setup_use(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<UseOptions>();
  CLI::App* command =
      add_command(parent, {"use", groups::registry, "Make a model the current one, and move it to a version of its own",
                           "mformer use base@1"});
  command
      ->add_option("REF", options->ref,
                   "A model's name, or name@N or a version-hash prefix: that also moves the model to the version")
      ->required();
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_use(*options, global); });
}

}  // namespace mformer::cli
