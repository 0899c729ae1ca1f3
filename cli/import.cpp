#include <filesystem>

#include "cli/command.h"
#include "cli/computes.h"
#include "cli/hub_cache.h"
#include "cli/import_options.h"
#include "cli/made.h"
#include "cli/model_report.h"
#include "cli/workspace.h"
#include "core/workflows/init.h"

namespace mformer::cli {
namespace {

struct ImportFlags {
  InitOptions options;
  bool dry_run = false;
};

nlohmann::ordered_json import_arguments(const InitOptions& options) {
  nlohmann::ordered_json arguments = {{"name", options.model},
                                      {"from", std::filesystem::absolute(options.from).lexically_normal().string()}};
  if (!options.tokenizer.empty()) arguments["tokenizer"] = options.tokenizer;
  if (options.slices > 0) arguments["slices"] = options.slices;
  return arguments;
}

void run_import(ImportFlags flags, const GlobalOptions& global) {
  flags.options.from = checkpoint_place(flags.options.from);
  Workspace workspace(global, "import", mode_of(flags.dry_run), import_arguments(flags.options));
  const InitReport made = workspace.run([&] {
    return flags.dry_run ? would_init(flags.options, workspace.session().seed)
                         : init_model(workspace.streaming_session(), flags.options);
  });
  tell(flags.dry_run ? std::nullopt : std::optional(made.version), [&] {
    terminal::Report report("import", global.json);
    report_model(report, made, flags.options.model, flags.dry_run);
    report.print();
  });
}

}  // namespace

void setup_import(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* command =
      add_command(parent, {"import", groups::model, "Bring a checkpoint folder or a GGUF file into the workspace",
                           "mformer import checkpoint/ --name other"});
  command
      ->add_option(
          "DIR", flags->options.from,
          "Checkpoint folder with config.json and safetensors, a .gguf file, or ORG/NAME in the hub's local cache")
      ->required();
  command->add_option("--name", flags->options.model, "Name of the new model")->type_name("NAME")->required();
  add_tokenizer_file(*command, flags->options);
  add_slices(*command, flags->options);
  add_allow_not_finite(*command, flags->options);
  add_dry_run(*command, flags->dry_run);
  computes(*command, [flags, &global] { run_import(*flags, global); });
}

}  // namespace mformer::cli
