#include "cli/command.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/validators.h"
#include "cli/workspace.h"
#include "core/workflows/init.h"

namespace mformer::cli {
namespace {

struct ExportFlags {
  ExportOptions options;
  bool dry_run = false;
};

void run_export(const ExportFlags& flags, const GlobalOptions& global) {
  Workspace workspace(global, "export", OpenMode::read_only);
  const VersionRecord version = workspace.version();
  terminal::Report report("export", global.json);
  nlohmann::ordered_json& data = report.data();
  data["dry_run"] = flags.dry_run;
  data["model"] = to_string(version);
  data["folder"] = flags.options.folder;
  if (flags.dry_run) {
    const ModelSize size = size_of(load_version(workspace.registry(), version).model);
    data["parameters"] = size.weights;
    report.text() << "would write " << to_string(version) << ", " << terminal::format_count(size.weights)
                  << " parameters, to " << flags.options.folder << '\n';
    return report.print();
  }
  const ExportReport result = export_model(workspace.registry(), version, flags.options);
  data["bytes"] = result.bytes;
  data["loadable_by_reference"] = result.loadable_by_reference;
  report.text() << "wrote " << to_string(version) << " to " << result.folder << ", "
                << terminal::format_bytes(static_cast<std::uint64_t>(result.bytes)) << '\n';
  if (!result.loadable_by_reference) {
    report.text() << "layers differ in their number of modules: mformer reads it, the Python reference does not\n";
  }
  report.print();
}

}  // namespace

void setup_export(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<ExportFlags>();
  CLI::App* command = add_command(parent, {"export", groups::model, "Write a checkpoint folder as on the hub",
                                           "mformer export checkpoint/ --dtype bfloat16"});
  ExportOptions& options = flags->options;
  command->add_option("DIR", options.folder, "Folder to write; must not exist or be empty")->required();
  command->add_option("--dtype", options.dtype, "float32, bfloat16 or float16; default: as the model is stored")
      ->type_name("NAME");
  command
      ->add_option("--max-shard-size", options.max_shard_bytes,
                   "Bytes a file, beyond which the weights are split; default: 5000000000")
      ->check(positive_integer());
  command->add_flag("--overwrite", options.overwrite, "Replace what is in the folder");
  add_dry_run(*command, flags->dry_run);
  command->callback([flags, &global] { run_export(*flags, global); });
}

}  // namespace mformer::cli
