#include "core/workflows/init.h"

#include <filesystem>

#include "cli/command.h"
#include "cli/made.h"
#include "cli/model_report.h"
#include "cli/workspace.h"
#include "modules_registry/error.h"
#include "modules_registry/new_workspace.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

struct InitFlags {
  InitOptions options;
  bool dry_run = false;
};

std::string joined_presets() {
  std::string names;
  for (const std::string& name : preset_names()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

/// True for a workspace without models: this init completes it. Throws Error when there are models, or may be soon.
bool is_without_models(const fs::path& folder, OpenMode mode) {
  std::error_code ignored;
  if (!fs::exists(folder / ".mformer" / "registry.db", ignored)) return false;
  const Registry registry = Registry::open(folder, mode);
  const std::string memory = (folder / ".mformer").string();
  if (!registry.models().empty()) {
    throw Error("there is a workspace already: '" + memory + "'",
                "add a model to it: mformer import DIR --name NAME, or choose another folder: --workspace DIR");
  }
  for (const OperationRecord& operation : registry.operations()) {
    if (operation.outcome != Outcome::running) continue;
    throw Error("mformer " + operation.command + " is at work in this workspace: '" + memory + "'",
                "wait until it has ended, or choose another folder: --workspace DIR");
  }
  return true;
}

nlohmann::ordered_json arguments_of(const InitOptions& options) {
  nlohmann::ordered_json arguments = {{"name", options.model}};
  if (!options.from.empty()) {
    arguments["from"] = fs::absolute(options.from).lexically_normal().string();
  } else if (!options.config.empty()) {
    arguments["config"] = fs::absolute(options.config).lexically_normal().string();
  } else {
    arguments["preset"] = options.preset;
  }
  if (!options.tokenizer.empty()) {
    arguments["tokenizer"] = fs::absolute(options.tokenizer).lexically_normal().string();
  }
  return arguments;
}

void print(const InitReport& made, const InitFlags& flags, bool json) {
  tell(flags.dry_run ? std::nullopt : std::optional(made.version), [&] {
    terminal::Report report("init", json);
    report_model(report, made, flags.options.model, flags.dry_run);
    report.print();
  });
}

InitReport make_in(const fs::path& folder, const InitFlags& flags, const GlobalOptions& global) {
  GlobalOptions there = global;
  there.workspace = folder.string();
  Workspace workspace(there, "init", OpenMode::read_write, arguments_of(flags.options));
  return workspace.run([&] { return init_model(workspace.session(), flags.options); });
}

InitReport make(const fs::path& folder, bool without_models, const InitFlags& flags, const GlobalOptions& global) {
  if (without_models) return make_in(folder, flags, global);
  NewWorkspace workspace(folder);
  const InitReport made = make_in(workspace.folder(), flags, global);
  workspace.put_in_place();
  return made;
}

void run_init(const InitFlags& flags, const GlobalOptions& global) {
  const fs::path folder = new_workspace_folder(global);
  require_valid_name("model", flags.options.model);
  const bool without_models = is_without_models(folder, mode_of(flags.dry_run));
  print(
      flags.dry_run ? would_make(flags.options, global.seed.value_or(0)) : make(folder, without_models, flags, global),
      flags, global.json);
}

}  // namespace

void setup_init(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<InitFlags>();
  CLI::App* command =
      add_command(parent, {"init", groups::model, "Make a workspace with a first model, new or imported",
                           "mformer init --preset small --tokenizer tokenizer.json"});
  InitOptions& options = flags->options;
  CLI::Option* from = command->add_option("--from", options.from, "Checkpoint folder to import; default: fresh weights")
                          ->type_name("DIR");
  CLI::Option* config =
      command->add_option("--config", options.config, "Geometry of fresh weights: a config.json")->type_name("FILE");
  command->add_option("--preset", options.preset, "A known geometry: " + joined_presets() + "; default: small")
      ->type_name("NAME")
      ->excludes(from)
      ->excludes(config);
  config->excludes(from);
  command->add_option("--tokenizer", options.tokenizer, "A tokenizer.json; default: the checkpoint's own, or none")
      ->type_name("FILE");
  command->add_option("--name", options.model, "Name of the model; default: base")->type_name("NAME");
  command
      ->add_flag("--allow-not-finite", flags->options.allow_not_finite,
                 "Take weights that are not finite numbers too, to look at")
      ->needs(from);
  add_dry_run(*command, flags->dry_run);
  command->callback([flags, &global] { run_init(*flags, global); });
}

}  // namespace mformer::cli
