#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"
#include "core/workflows/names.h"
#include "modules_registry/error.h"

namespace mformer::cli {
namespace {

struct TagOptions {
  std::string name, ref;
  bool remove = false;
  bool dry_run = false;
};

void list_tags(const Registry& registry, terminal::Report& report, const GlobalOptions& global) {
  auto& rows = report.data()["tags"] = nlohmann::ordered_json::array();
  terminal::Table table({{"tag", terminal::Align::left}, {"version", terminal::Align::left}, {"made (UTC)"}});
  for (const TagRecord& tag : registry.tags()) {
    const VersionRecord version = registry.version(tag.version);
    rows.push_back({{"name", tag.name}, {"version", version_json(version)}, {"created_ms", tag.created_ms}});
    table.add_row({tag.name, version_name(registry, tag.version), utc_time(tag.created_ms)});
  }
  report.text() << (table.empty() ? "no tags yet: " + program_of(global) + " tag NAME makes one\n"
                                  : table.str(report.style()));
}

/// The version that was tagged, or that the removed tag named.
VersionRecord change_tag(RegistryWorkspace& workspace, const TagOptions& options) {
  if (!options.remove) return make_tag(workspace.session(), options.name, options.ref, options.dry_run);
  const Registry& registry = workspace.registry();
  const VersionRecord version = registry.version(registry.tag(options.name).version);
  remove(workspace.session(), Thing::tag, options.name, options.dry_run);
  return version;
}

void run_tag(TagOptions options, const GlobalOptions& global) {
  if (options.name.empty() && options.remove)
    throw UsageError("--remove needs the name of a tag", "mformer tag lists them");
  if (options.remove && !options.ref.empty()) {
    throw UsageError("--remove takes the name of a tag alone", "mformer tag --remove NAME");
  }
  if (options.ref.empty()) options.ref = global.model;
  const bool reads = options.name.empty() || options.dry_run;
  RegistryWorkspace workspace(global, "tag", mode_of(/*dry_run=*/reads),
                              {{"name", options.name}, {"ref", options.ref}, {"remove", options.remove}});
  terminal::Report report("tag", global.json);
  report.data()["dry_run"] = options.dry_run;
  if (options.name.empty()) {
    list_tags(workspace.registry(), report, global);
    return report.print();
  }
  const VersionRecord version = change_tag(workspace, options);
  report.data()["tag"] = options.name;
  report.data()["removed"] = options.remove;
  report.data()["model_version"] = version_json(version);
  const std::string verb = options.remove ? "remove" : "tag";
  report.text() << (options.dry_run  ? "would " + verb
                    : options.remove ? "removed"
                                     : "tagged")
                << ' '
                << (options.remove
                        ? "the tag " + options.name + " of " + version_name(workspace.registry(), version.hash)
                        : version_name(workspace.registry(), version.hash) + " as " + options.name)
                << '\n';
  tell(options.dry_run ? "" : (options.remove ? "removed the tag " : "made the tag ") + options.name, "mformer tag",
       [&] { report.print(); });
}

}  // namespace

void setup_tag(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<TagOptions>();
  CLI::App* command = add_command(
      parent, {"tag", groups::registry, "Name a version for good, or list such names", "mformer tag first-try base@2"});
  command->add_option("NAME", options->name, "Name of the tag; without it, the tags are listed");
  command->add_option("REF", options->ref, "The version; default: the current model's, or --model");
  command->add_flag("--remove", options->remove, "Remove the tag; its version stays");
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_tag(*options, global); });
}

}  // namespace mformer::cli
