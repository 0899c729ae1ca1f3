#include "core/workflows/init.h"

#include <filesystem>

#include "cli/command.h"
#include "cli/computes.h"
#include "cli/hub_cache.h"
#include "cli/import_options.h"
#include "cli/made.h"
#include "cli/model_report.h"
#include "cli/same_workspace.h"
#include "cli/workspace.h"
#include "modules_registry/error.h"
#include "modules_registry/new_workspace.h"
#include "modules_registry/paths.h"

namespace mformer::cli {
namespace {

namespace fs = std::filesystem;

struct InitFlags {
  InitOptions options;
  bool named = false;  ///< --name was given: the model may join others
  bool no_tokenizer = false;
  bool dry_run = false;
};

std::string joined_presets() {
  std::string names;
  for (const std::string& name : preset_names()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

/// True for a workspace that this init adds its model to: one without models, or any with a model's name of its own.
/// Throws Error when there are models, or may be soon, and none was named.
bool is_joined(const fs::path& folder, const InitFlags& flags, OpenMode mode) {
  std::error_code ignored;
  if (!fs::exists(folder / ".mformer" / "registry.db", ignored)) return false;
  const Registry registry = Registry::open(folder, mode);
  const std::string memory = (folder / ".mformer").string();
  if (!registry.models().empty()) {
    if (flags.named) {
      require_new_model(registry, flags.options.model);
      return true;
    }
    throw Error("there is a workspace already: '" + memory + "'",
                "add a model to it: mformer init --name NAME --tokenizer tokenizer.json, or mformer import DIR --name "
                "NAME; or choose another folder: --workspace DIR");
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
  if (options.slices > 0) arguments["slices"] = options.slices;
  return arguments;
}

/// `joined`: the folder of a workspace that was there before; empty for a new one.
void print(const InitReport& made, const InitFlags& flags, const fs::path& joined, const GlobalOptions& global) {
  tell(flags.dry_run ? std::nullopt : std::optional(made.version), [&] {
    terminal::Report report("init", global.json);
    report_model(report, made, flags.options.model, flags.dry_run);
    const std::string current =
        joined.empty() ? flags.options.model : Registry::open(joined, OpenMode::read_only).current_model();
    if (!current.empty() && current != flags.options.model) {
      report.text() << "\n'" << current << "' stays the current model; to work on the new one: " << program_of(global)
                    << " use " << flags.options.model << '\n';
    }
    report.print();
  });
}

/// Makes the model in the workspace of `folder`, which stands in for `place` until that is there: what was typed in the
/// one is remembered as typed in the other.
InitReport make_in(const fs::path& folder, const fs::path& place, const InitFlags& flags, const GlobalOptions& global) {
  GlobalOptions there = global;
  there.workspace = folder.string();
  Workspace workspace(there, "init", OpenMode::read_write, arguments_of(flags.options));
  Session& session = workspace.streaming_session();
  const fs::path way = fs::path(session.typed.folder).lexically_relative(real_path(place));
  if (folder != place && !way.empty() && *way.begin() != "..")
    session.typed.folder = (folder / way).lexically_normal().string();
  return workspace.run([&] { return init_model(session, flags.options); });
}

InitReport make(const fs::path& folder, bool joined, const InitFlags& flags, const GlobalOptions& global) {
  if (joined) return make_in(folder, folder, flags, global);
  NewWorkspace workspace(folder);
  const InitReport made = make_in(workspace.folder(), folder, flags, global);
  workspace.put_in_place();
  return made;
}

void run_init(InitFlags flags, const GlobalOptions& global) {
  if (!flags.options.from.empty()) flags.options.from = checkpoint_place(flags.options.from);
  const fs::path folder = new_workspace_folder(global);
  require_valid_name("model", flags.options.model);
  flags.options.need_tokenizer = !flags.no_tokenizer;
  const bool joined = is_joined(folder, flags, mode_of(flags.dry_run));
  const InitReport made =
      flags.dry_run ? would_init(flags.options, global.seed.value_or(0)) : make(folder, joined, flags, global);
  print(made, flags, joined ? folder : fs::path(), global);
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
  CLI::Option* tokenizer = add_tokenizer_file(*command, options);
  command
      ->add_flag("--no-tokenizer", flags->no_tokenizer,
                 "Fresh weights without a tokenizer: they can never be trained on text")
      ->excludes(tokenizer)
      ->excludes(from);
  CLI::Option* name = command
                          ->add_option("--name", options.model,
                                       "Name of the model, which may join others in a workspace; default: base")
                          ->type_name("NAME");
  add_slices(*command, options);
  add_allow_not_finite(*command, options)->needs(from);
  add_dry_run(*command, flags->dry_run);
  computes(*command, [flags, name, &global] {
    flags->named = name->count() > 0;
    run_init(*flags, global);
  });
}

}  // namespace mformer::cli
