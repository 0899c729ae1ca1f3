#include "core/workflows/init.h"

#include <filesystem>

#include "cli/command.h"
#include "cli/model_report.h"
#include "cli/workspace.h"
#include "modules_registry/error.h"

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

bool is_workspace(const fs::path& folder) {
  try {
    Registry::open(folder, OpenMode::read_only);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// A workspace to be made, which goes away again unless keep() is called: a failed init leaves the folder as it was.
class NewWorkspace {
 public:
  explicit NewWorkspace(fs::path folder) : folder_(std::move(folder)), made_folder_(!fs::exists(folder_)) {}
  ~NewWorkspace() {
    if (keep_) return;
    std::error_code ignored;
    fs::remove_all(folder_ / ".mformer", ignored);
    if (made_folder_) fs::remove(folder_, ignored);
  }
  NewWorkspace(const NewWorkspace&) = delete;
  NewWorkspace& operator=(const NewWorkspace&) = delete;

  void create() {
    try {
      Registry::create(folder_);
    } catch (const Error&) {
      keep_ = is_workspace(folder_);  // then another init was faster, and it is its own
      throw;
    }
  }
  void keep() { keep_ = true; }

 private:
  fs::path folder_;
  bool made_folder_;
  bool keep_ = false;
};

/// True for a workspace without models: what an init that was killed leaves, and this one completes. Throws Error when
/// there are models.
bool is_left_over(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / ".mformer" / "registry.db", ignored)) return false;
  if (Registry::open(folder, OpenMode::read_write).models().empty()) return true;
  throw Error("there is a workspace already: '" + (folder / ".mformer").string() + "'",
              "add a model to it: mformer import DIR --name NAME, or choose another folder: --workspace DIR");
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
  terminal::Report report("init", json);
  report_model(report, made, flags.options.model, flags.dry_run);
  report.print();
}

void run_init(const InitFlags& flags, const GlobalOptions& global) {
  const fs::path folder = new_workspace_folder(global);
  require_valid_name("model", flags.options.model);
  const bool left_over = is_left_over(folder);
  if (flags.dry_run) return print(would_make(flags.options, global.seed.value_or(0)), flags, global.json);

  std::optional<NewWorkspace> created;
  if (!left_over) created.emplace(folder).create();
  InitReport made;
  {
    Workspace workspace(global, "init", OpenMode::read_write, arguments_of(flags.options));
    made = workspace.run([&] { return init_model(workspace.session(), flags.options); });
  }
  if (created) created->keep();
  print(made, flags, global.json);
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
  add_dry_run(*command, flags->dry_run);
  command->callback([flags, &global] { run_init(*flags, global); });
}

}  // namespace mformer::cli
