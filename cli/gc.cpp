#include <algorithm>
#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/stages.h"
#include "cli/validators.h"

namespace mformer::cli {
namespace {

struct GcOptions {
  std::int64_t grace = 3600;  ///< seconds
  bool dry_run = false;
};

constexpr std::int64_t longest_grace = 1'000'000'000;  // 30 years: as milliseconds it still fits

void run_gc(const GcOptions& options, const GlobalOptions& global) {
  const std::int64_t grace_ms = std::min(options.grace, longest_grace) * 1000;
  // First what needs no database: on a full disk that makes the room that the database needs.
  const GcResult swept = options.dry_run ? GcResult() : Registry::sweep(workspace_folder(global), false, grace_ms);
  RegistryWorkspace workspace(global, "gc", mode_of(options.dry_run));
  terminal::Stages stages(terminal::progress_options(global.quiet));
  workspace.registry().show_progress(
      [&](const std::string& what, std::int64_t done, std::int64_t total) { stages.update(what, done, total); });
  GcResult removed = workspace.registry().gc(options.dry_run, grace_ms);
  stages.end();
  removed.temporaries += swept.temporaries;
  removed.bytes += swept.bytes;
  terminal::Report report("gc", global.json);
  report.data() = {
      {"dry_run", options.dry_run},
      {"grace_seconds", options.grace},
      {"models", removed.models},
      {"versions", removed.versions},
      {"tasks", removed.tasks},
      {"waits_for", removed.waits_for.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(removed.waits_for)},
      {"objects", removed.objects},
      {"temporaries", removed.temporaries},
      {"bytes", removed.bytes}};
  if (removed.models + removed.versions + removed.tasks > 0) {
    report.text() << (options.dry_run ? "would free " : "freed ") << removed.models << " removed models, "
                  << removed.versions << " versions and " << removed.tasks << " removed tasks\n";
  }
  if (!removed.waits_for.empty()) {
    report.text() << "removed models and tasks stay while a command runs: " << removed.waits_for << '\n';
  }
  report.text() << (options.dry_run ? "would remove " : "removed ") << removed.objects << " unused objects and "
                << removed.temporaries
                << " unfinished files: " << terminal::format_bytes(static_cast<std::uint64_t>(removed.bytes)) << '\n';
  tell(options.dry_run ? "" : "removed " + std::to_string(removed.objects) + " objects", "mformer gc --dry-run",
       [&] { report.print(); });
}

}  // namespace

void setup_gc(CLI::App& parent, const GlobalOptions& global) {
  auto options = std::make_shared<GcOptions>();
  CLI::App* command =
      add_command(parent, {"gc", groups::registry,
                           "Free what was removed, object files that no version names, and what killed commands left",
                           "mformer gc --dry-run"});
  command
      ->add_option("--grace", options->grace,
                   "Spare what was written or removed within so many seconds: a command may need it")
      ->check(non_negative_integer())
      ->type_name("SECONDS");
  add_dry_run(*command, options->dry_run);
  command->callback([options, &global] { run_gc(*options, global); });
}

}  // namespace mformer::cli
