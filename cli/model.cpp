#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/text.h"
#include "core/workflows/names.h"

namespace mformer::cli {
namespace {

struct ModelRenameOptions {
  std::string from, to;
  bool dry_run = false;
};

struct ModelRemoveOptions {
  std::string name;
  bool dry_run = false;
};

void run_model_rename(const ModelRenameOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "model rename", mode_of(options.dry_run),
                              {{"from", options.from}, {"to", options.to}});
  rename(workspace.session(), Thing::model, options.from, options.to, options.dry_run);
  terminal::Report report("model rename", global.json);
  report.data() = {{"dry_run", options.dry_run}, {"model", options.to}, {"before", options.from}};
  report.text() << (options.dry_run ? "would rename" : "renamed") << " model '" << terminal::printable(options.from)
                << "' to '" << options.to << "', with all its versions\n";
  tell(options.dry_run ? "" : "renamed model '" + options.from + "' to '" + options.to + "'", "mformer models",
       [&] { report.print(); });
}

void run_model_remove(const ModelRemoveOptions& options, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "model remove", mode_of(options.dry_run), {{"name", options.name}});
  const ModelRecord model = workspace.registry().model(options.name);
  const VersionRecord version = workspace.registry().version(model.current_version);
  remove(workspace.session(), Thing::model, options.name, options.dry_run);
  terminal::Report report("model remove", global.json);
  report.data() = {{"dry_run", options.dry_run},
                   {"model", model.name},
                   {"model_version", version_json(version)},
                   {"versions", model.version_count}};
  report.text() << (options.dry_run ? "would remove" : "removed") << " model '" << terminal::printable(model.name)
                << "', which stood at " << to_string(version) << ", with its "
                << terminal::format_count(model.version_count)
                << (model.version_count == 1 ? " version\n" : " versions\n");
  if (!options.dry_run) {
    report.text() << "take it back: " << program_of(global) << " undo, until " << program_of(global)
                  << " gc frees what nothing else needs, after an hour\n";
  }
  tell(options.dry_run ? "" : "removed model '" + model.name + "'", "mformer models", [&] { report.print(); });
}

}  // namespace

void setup_model(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* group = add_command_group(
      parent, {"model", groups::registry, "Rename and remove models", "mformer model rename base english"});
  auto names = std::make_shared<ModelRenameOptions>();
  CLI::App* rename_command = add_command(
      *group, {"rename", "", "Give a model another name, with all its versions", "mformer model rename base english"});
  rename_command->add_option("OLD", names->from, "Name of the model")->required();
  rename_command->add_option("NEW", names->to, "Its new name")->required();
  add_dry_run(*rename_command, names->dry_run);
  rename_command->callback([names, &global] { run_model_rename(*names, global); });

  auto removal = std::make_shared<ModelRemoveOptions>();
  CLI::App* remove_command =
      add_command(*group, {"remove", "", "Remove a model and its versions; undo brings them back until gc",
                           "mformer model remove "
                           "qa-small"});
  remove_command->add_option("NAME", removal->name, "Name of the model; not the current one")->required();
  add_dry_run(*remove_command, removal->dry_run);
  remove_command->callback([removal, &global] { run_model_remove(*removal, global); });
}

}  // namespace mformer::cli
