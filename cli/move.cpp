#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/terminal/report.h"
#include "core/workflows/names.h"

// The two ways to go on from a version: another model that stands there, or the model itself.
namespace mformer::cli {
namespace {

struct MoveOptions {
  std::string model, ref;
  bool dry_run = false;
};

struct BranchOptions {
  std::string name, ref;
  bool dry_run = false;
};

void run_move(const MoveOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "move", mode_of(options.dry_run),
                              {{"model", options.model}, {"ref", options.ref}});
  const MoveReport moved = move_model(workspace.session(), options.model, options.ref, options.dry_run);
  const bool moves = moved.from.hash != moved.to.hash;
  terminal::Report report("move", global.json);
  report.data() = {{"dry_run", options.dry_run},
                   {"model", options.model},
                   {"moved", moves},
                   {"before", version_json(moved.from)},
                   {"after", version_json(moved.to)}};
  const std::string what = options.model + (moves ? " from " + to_string(moved.from) + " to " : ", which stands at ") +
                           to_string(moved.to) + (moves ? "" : " already");
  report.text() << (options.dry_run ? "would move " : "moved ") << what << '\n';
  if (!options.dry_run && moves) {
    report.text() << "take it back: " << program_of(global) << " undo --model " << options.model << '\n';
  }
  tell(options.dry_run ? "" : "moved " + what, "mformer models", [&] { report.print(); });
}

void run_branch(BranchOptions options, const GlobalOptions& global) {
  if (options.ref.empty()) options.ref = global.model;
  RegistryWorkspace workspace(global, "branch", mode_of(options.dry_run),
                              {{"name", options.name}, {"ref", options.ref}});
  const VersionRecord version = make_branch(workspace.session(), options.name, options.ref, options.dry_run);
  terminal::Report report("branch", global.json);
  report.data() = {{"dry_run", options.dry_run}, {"model", options.name}, {"model_version", version_json(version)}};
  report.text() << (options.dry_run ? "would make" : "made") << " the model " << options.name << " at "
                << to_string(version) << '\n';
  if (!options.dry_run) {
    report.text() << "work on it: " << program_of(global) << " use " << options.name << ", or --model " << options.name
                  << '\n';
  }
  tell(options.dry_run ? "" : "made the model " + options.name + " at " + to_string(version), "mformer models",
       [&] { report.print(); });
}

}  // namespace

void setup_move(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<MoveOptions>();
  CLI::App* command = add_command(
      parent,
      {"move", groups::registry, "Point a model to another version; undo takes it back", "mformer move base base@1"});
  command->add_option("MODEL", options->model, "Name of the model")->required();
  command->add_option("REF", options->ref, "The version that it stands at from now on: name, name@N, tag or hash")
      ->required();
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_move(*options, global); });
}

void setup_branch(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<BranchOptions>();
  CLI::App* command = add_command(parent, {"branch", groups::registry, "Make another model that goes on from a version",
                                           "mformer branch try base@1"});
  command->add_option("NAME", options->name, "Name of the new model")->required();
  command->add_option("REF", options->ref, "The version; default: the one that commands read, or --model");
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_branch(*options, global); });
}

}  // namespace mformer::cli
