#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/describe.h"
#include "cli/operation_report.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/table.h"

namespace mformer::cli {
namespace {

using namespace terminal;

void run_models(const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "models", OpenMode::read_only);
  const Registry& registry = workspace.registry();
  const std::string current = registry.current_model();
  const std::string looked_at = registry.looked_at();
  Report report("models", global.json);
  auto& rows = report.data()["models"] = nlohmann::ordered_json::array();
  Table table({{""},
               {"model", Align::left},
               {"version", Align::left},
               {"versions"},
               {"modules"},
               {"size"},
               {"made (UTC)", Align::left}});
  const VersionsByHash versions(registry, /*all=*/false);
  for (const ModelRecord& model : registry.models()) {
    const VersionRecord version = registry.version(model.current_version);
    const std::size_t modules = registry.modules(version.hash).size();
    const std::int64_t bytes = registry.version_bytes(version.hash);
    rows.push_back({{"name", model.name},
                    {"current", model.name == current},
                    {"version", version_json(version)},
                    {"tags", versions.tags(version.hash)},
                    {"versions", model.version_count},
                    {"modules", modules},
                    {"bytes", bytes},
                    {"created_ms", model.created_ms}});
    table.add_row({model.name == current ? "*" : "", model.name,
                   to_string(version) + tags_text(versions.tags(version.hash)), format_count(model.version_count),
                   format_count(static_cast<std::int64_t>(modules)), format_bytes(static_cast<std::uint64_t>(bytes)),
                   utc_time(model.created_ms)});
  }
  if (table.empty()) {
    report.text() << "no models yet: " << program_of(global) << " init makes one\n";
  } else {
    report.text() << table.str(report.style());
  }
  report.data()["looked_at"] = version_json(registry, looked_at);
  if (!looked_at.empty()) {
    report.text() << "looking at " << version_name(registry, looked_at) << "; back: " << program_of(global) << " use "
                  << current << '\n';
  }
  report.print();
}

}  // namespace

void setup_models(CLI::App& parent, const GlobalOptions& global) {
  CLI::App* command = add_command(
      parent, {"models", groups::registry, "List the workspace's models; * marks the current one", "mformer models"});
  command->callback([&global] { run_models(global); });
}

}  // namespace mformer::cli
