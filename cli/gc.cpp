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
#include "core/workspace/leftovers.h"

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
  const Leftovers left = collect_leftovers(workspace.registry(), removed, MFORMER_VERSION, options.dry_run, grace_ms);
  if (removed.waits_for.empty()) removed.waits_for = left.waits_for;
  const auto temporary_bytes = removed.bytes - removed.object_bytes;
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
      {"bytes", removed.bytes + left.run_bytes + left.token_bytes},
      {"object_bytes", removed.object_bytes},
      {"temporary_bytes", temporary_bytes},
      {"runs", left.runs},
      {"snapshots", left.snapshots},
      {"run_bytes", left.run_bytes},
      {"token_files", left.tokens},
      {"token_bytes", left.token_bytes}};
  if (removed.models + removed.versions + removed.tasks > 0) {
    report.text() << (options.dry_run ? "would free " : "freed ") << removed.models << " removed models, "
                  << removed.versions << " versions and " << removed.tasks << " removed tasks\n";
  }
  if (!removed.waits_for.empty()) {
    report.text() << "removed models and tasks, runs and tokens stay while a command runs: " << removed.waits_for
                  << '\n';
  }
  const auto size = [](std::int64_t bytes) { return terminal::format_bytes(static_cast<std::uint64_t>(bytes)); };
  report.text() << (options.dry_run ? "would remove " : "removed ") << removed.objects << " unused objects ("
                << size(removed.object_bytes) << ") and " << removed.temporaries << " unfinished files ("
                << size(temporary_bytes) << ")\n";
  if (left.runs + left.snapshots + left.tokens > 0) {
    report.text() << (options.dry_run ? "would remove " : "removed ") << left.runs << " runs and " << left.snapshots
                  << " snapshots (" << size(left.run_bytes) << "), and " << left.tokens << " token files ("
                  << size(left.token_bytes) << ") of data that no task has\n";
  }
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
