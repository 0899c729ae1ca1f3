#include <memory>
#include <optional>
#include <vector>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/far_end.h"
#include "cli/interrupt.h"
#include "cli/made.h"
#include "cli/registry_workspace.h"
#include "cli/same_workspace.h"
#include "cli/terminal/format.h"
#include "cli/terminal/report.h"
#include "cli/terminal/stages.h"
#include "cli/terminal/text.h"
#include "cli/workspace_at.h"
#include "core/transfer/bundle.h"
#include "core/transfer/remote.h"
#include "modules_registry/shell_word.h"

// push, pull and bundle: models on their way between workspaces.
namespace mformer::cli {
namespace {

using nlohmann::ordered_json;

struct TransferFlags {
  std::string place;
  std::vector<std::string> models;
  bool dry_run = false;
};

std::string size_text(std::int64_t bytes) {
  return terminal::format_bytes(static_cast<std::uint64_t>(bytes));
}

/// A watcher that shows progress, and stops at Ctrl-C.
class Watching {
 public:
  explicit Watching(const GlobalOptions& global) : stages_(terminal::progress_options(global.quiet, "")) {
    watcher_.should_stop = [] { return interrupted(); };
    watcher_.progress = [this](const std::string& stage, std::int64_t done, std::int64_t total, double, double) {
      stages_.update(stage, done, total);
    };
  }
  const Watcher& watcher() const { return watcher_; }
  void end() { stages_.end(); }

 private:
  terminal::Stages stages_;
  Watcher watcher_;
};

/// "made as base-2 at base-2@1".
std::string outcome_text(const Transferred& done, bool dry_run) {
  const Decision& decision = done.decision;
  const std::string into = terminal::printable(decision.into);
  const std::string at = done.version.empty() ? "" : " at " + done.version;
  switch (decision.arrival) {
    case Arrival::made:
      return (dry_run ? "would be made" : "made") + at;
    case Arrival::forward:
      return (dry_run ? "would move on" : "moved on") + (at.empty() ? "" : " to " + done.version) +
             (into == done.model ? "" : " as " + into);
    case Arrival::same:
      return "there already" + (into == done.model ? "" : " as " + into);
    case Arrival::behind:
      return "left alone: " + into + " has all of it and more";
    default:
      return (dry_run ? "would be kept as " : "kept as ") + into + at + ", since " + done.model + " went another way";
  }
}

/// "tag first: made", and of one that has another meaning there that it was left alone.
std::string tag_text(const TagArrival& tag, bool dry_run) {
  const std::string name = "tag " + terminal::printable(tag.name);
  if (tag.there.empty()) return name + (dry_run ? ": would be made" : ": made");
  return name + ": not taken over, since " + terminal::printable(tag.there) + " has that name there";
}

ordered_json tags_json(const std::vector<TagArrival>& tags) {
  ordered_json rows = ordered_json::array();
  for (const TagArrival& tag : tags) {
    rows.push_back({{"name", tag.name},
                    {"version", tag.version},
                    {"made", tag.there.empty()},
                    {"there", tag.there.empty() ? ordered_json() : ordered_json(tag.there)}});
  }
  return rows;
}

void report_transfer(const char* command, const TransferFlags& flags, const std::vector<Transferred>& all,
                     const GlobalOptions& global) {
  terminal::Report report(command, global.json);
  report.data() = {{"dry_run", flags.dry_run}, {"place", flags.place}, {"models", ordered_json::array()}};
  for (const Transferred& done : all) {
    const auto versions = static_cast<std::int64_t>(done.decision.want.size());
    const ordered_json version = done.version.empty() ? ordered_json() : ordered_json(done.version);
    report.data()["models"].push_back({{"model", done.model},
                                       {"into", done.decision.into},
                                       {"arrival", to_string(done.decision.arrival)},
                                       {"current", done.current},
                                       {"stands_at", version},
                                       {"versions", versions},
                                       {"objects", done.objects},
                                       {"bytes", done.bytes},
                                       {"measurements", done.measurements},
                                       {"different_measurements", done.decision.different},
                                       {"tags", tags_json(done.tags)}});
    report.text() << terminal::printable(done.model) << ": " << outcome_text(done, flags.dry_run);
    if (done.decision.arrival != Arrival::same && done.decision.arrival != Arrival::behind) {
      report.text() << "; " << terminal::format_counted(versions, "new version") << ", "
                    << terminal::format_counted(done.objects, "object") << " (" << size_text(done.bytes) << ')';
    }
    if (done.measurements > 0) report.text() << "; " << terminal::format_counted(done.measurements, "measurement");
    if (done.decision.different > 0) {
      report.text() << "; " << terminal::format_counted(done.decision.different, "score")
                    << " with another value there, which stays";
    }
    report.text() << '\n';
    for (const TagArrival& tag : done.tags) report.text() << tag_text(tag, flags.dry_run) << '\n';
  }
  if (all.empty()) report.text() << "there are no models\n";
  tell(flags.dry_run ? "" : std::string(command) + "ed " + std::to_string(all.size()) + " models", "mformer models",
       [&] { report.print(); });
}

TransferOptions transfer_options(const TransferFlags& flags, bool may_keep_beside) {
  return {flags.models, may_keep_beside, flags.dry_run};
}

void run_push(const TransferFlags& flags, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "push", OpenMode::read_only);
  LocalSource source(workspace.registry());
  Watching watching(global);
  const Place place = place_of(flags.place);
  std::vector<Transferred> all;
  if (!place.host.empty()) {
    FarEnd end(place);
    RemoteTarget target(end.wire());
    all = transfer(source, target, transfer_options(flags, false), watching.watcher());
  } else {
    require_another(workspace.registry(), place.path);
    WorkspaceAt there(place.path, workspace.registry().identity());
    const Served served = there.served(!flags.dry_run);
    ServedTarget target(served);
    all = transfer(source, target, transfer_options(flags, false), watching.watcher());
  }
  watching.end();
  report_transfer("push", flags, all, global);
}

/// The models of a source into the workspace.
std::vector<Transferred> pull_from(Source& source, RegistryWorkspace& workspace, const TransferFlags& flags,
                                   const Watcher& watcher) {
  if (flags.dry_run) {
    LocalTarget target(&workspace.registry());
    return transfer(source, target, transfer_options(flags, true), watcher);
  }
  LocalTarget target(workspace.session());
  return transfer(source, target, transfer_options(flags, true), watcher);
}

void run_pull(const TransferFlags& flags, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "pull", mode_of(flags.dry_run), {{"place", flags.place}});
  Watching watching(global);
  const Place place = place_of(flags.place);
  std::vector<Transferred> all;
  if (!place.host.empty()) {
    FarEnd end(place);
    RemoteSource source(end.wire());
    all = pull_from(source, workspace, flags, watching.watcher());
  } else if (std::filesystem::is_directory(place.path)) {
    require_another(workspace.registry(), place.path);
    const Registry there = Registry::open(place.path, OpenMode::read_only);
    LocalSource source(there);
    all = pull_from(source, workspace, flags, watching.watcher());
  } else {
    BundleSource source(place.path, watching.watcher());
    all = pull_from(source, workspace, flags, watching.watcher());
  }
  watching.end();
  report_transfer("pull", flags, all, global);
}

void run_bundle(const TransferFlags& flags, const GlobalOptions& global) {
  RegistryWorkspace workspace(global, "bundle", OpenMode::read_only);
  LocalSource source(workspace.registry());
  Watching watching(global);
  const BundleSize size = bundle_size(source, flags.models);
  const std::int64_t bytes = flags.dry_run ? 0 : write_bundle(source, flags.models, flags.place, watching.watcher());
  watching.end();
  terminal::Report report("bundle", global.json);
  report.data() = {{"dry_run", flags.dry_run},
                   {"file", flags.place},
                   {"models", size.models},
                   {"versions", size.versions},
                   {"objects", size.objects},
                   {"object_bytes", size.bytes},
                   {"bytes", flags.dry_run ? ordered_json() : ordered_json(bytes)}};
  report.text() << (flags.dry_run ? "would write " : "wrote ") << terminal::format_counted(size.models, "model")
                << " with " << terminal::format_counted(size.versions, "version") << " and "
                << terminal::format_counted(size.objects, "object") << " ("
                << size_text(flags.dry_run ? size.bytes : bytes) << ") to " << terminal::printable(flags.place) << '\n';
  if (!flags.dry_run) report.text() << "in another workspace: mformer pull " << shell_word(flags.place) << '\n';
  tell(flags.dry_run ? "" : "wrote " + flags.place, "", [&] { report.print(); });
}

CLI::App* add_transfer(CLI::App& parent, const CommandText& text, TransferFlags& flags, const char* place,
                       const char* what, const char* models) {
  CLI::App* command = add_command(parent, text);
  command->add_option(place, flags.place, what)->required();
  command->add_option("MODEL", flags.models, models);
  add_dry_run(*command, flags.dry_run);
  return command;
}

}  // namespace

void setup_push(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<TransferFlags>();
  add_transfer(parent,
               {"push", groups::registry, "Bring models to another workspace, with all that they come from",
                "mformer push ../backup base"},
               *flags, "DEST", "Folder of the workspace (made if it is empty or missing), host:path or ssh://host/path",
               "Names of the models; default: all")
      ->callback([flags, &global] { run_push(*flags, global); });
}

void setup_pull(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<TransferFlags>();
  add_transfer(
      parent,
      {"pull", groups::registry, "Take models from another workspace or a bundle, with all that they come from",
       "mformer pull ../backup base"},
      *flags, "SRC", "Folder of the workspace, host:path, ssh://host/path, or a file that bundle made",
      "Names of the models; default: all")
      ->callback([flags, &global] { run_pull(*flags, global); });
}

void setup_bundle(CLI::App& parent, const GlobalOptions& global) {
  auto flags = std::make_shared<TransferFlags>();
  add_transfer(parent,
               {"bundle", groups::registry, "Write models with all that they come from to one file, for pull",
                "mformer bundle base.bundle base"},
               *flags, "OUT", "File that is made", "Names of the models; default: all")
      ->callback([flags, &global] { run_bundle(*flags, global); });
}

}  // namespace mformer::cli
