#include "core/workspace/leftovers.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <vector>

#include "modules_registry/file_lock.h"

namespace mformer {
namespace {

namespace fs = std::filesystem;

/// Bytes and age of the regular files below a folder (or of one file); links are not followed.
struct Extent {
  std::int64_t bytes = 0;
  fs::file_time_type newest = fs::file_time_type::min();
};

Extent extent_of(const fs::path& place) {
  Extent extent;
  std::error_code error;
  const auto add = [&](const fs::path& file) {
    std::error_code gone;
    const auto size = fs::file_size(file, gone);
    if (gone) return;
    extent.bytes += static_cast<std::int64_t>(size);
    const auto time = fs::last_write_time(file, gone);
    if (!gone) extent.newest = std::max(extent.newest, time);
  };
  if (fs::is_regular_file(place, error)) add(place);
  for (auto entry = fs::recursive_directory_iterator(place, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (entry->symlink_status(error).type() == fs::file_type::regular) add(entry->path());
  }
  return extent;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// The content hash in a token file's header (docs/data.md has the format); "" where it is no whole one.
std::string content_of_tokens(const fs::path& file) {
  std::ifstream bytes;
  if (std::error_code error; fs::is_regular_file(file, error)) bytes.open(file, std::ios::binary);
  std::string header(104, '\0');
  if (!bytes.read(header.data(), static_cast<std::streamsize>(header.size())) || !header.starts_with("MFTOKENS"))
    return "";
  return header.substr(40, 64);
}

/// What the operations say of the run whose session.json has this text.
struct RunFacts {
  bool is_known = false;     ///< an operation is of it
  bool has_version = false;  ///< and made a version that is there
  bool is_open = false;      ///< or ended without one
  std::int64_t done_ms = 0;  ///< when the last one that is done ended
};

class Collection {
 public:
  Collection(const Registry& registry, const GcResult& freed, const std::string& code_version, bool dry_run,
             std::int64_t grace_ms)
      : registry_(registry),
        freed_(freed),
        code_version_(code_version),
        dry_run_(dry_run),
        limit_(fs::file_time_type::clock::now() - std::chrono::milliseconds(grace_ms)),
        operations_(registry.operations()) {}

  Leftovers run() {
    for (const OperationRecord& operation : operations_) {
      if (operation.outcome != Outcome::running) continue;
      found_.waits_for = operation.command + " (operation " + std::to_string(operation.id) + ")";
      return found_;
    }
    for (const fs::path& folder : entries_of(registry_.folder() / "runs")) look_at_run(folder);
    const std::set<std::string> contents = registry_.task_contents(freed_.freed_tasks);
    for (const fs::path& file : entries_of(registry_.folder() / "cache")) {
      if (file.extension() != ".tokens" || contents.contains(content_of_tokens(file))) continue;
      found_.tokens += remove(file, found_.token_bytes) ? 1 : 0;
    }
    return found_;
  }

 private:
  void look_at_run(const fs::path& folder) {
    if (FileLock::is_held(folder / "lock")) return;
    const RunFacts facts = facts_of(folder);
    if (!facts.is_known || (!facts.has_version && !facts.is_open)) {
      found_.runs += remove(folder, found_.run_bytes) ? 1 : 0;
      return;
    }
    for (const fs::path& snapshot : {folder / "snapshot.safetensors", folder / "review" / "snapshot.safetensors"}) {
      std::error_code gone;
      const auto written = fs::last_write_time(snapshot, gone);
      if (gone || (is_of_this_program_ && !was_done_since(facts, written))) continue;
      found_.snapshots += remove(snapshot, found_.run_bytes) ? 1 : 0;
    }
  }

  RunFacts facts_of(const fs::path& folder) {
    std::ifstream file;
    if (std::error_code error; fs::is_regular_file(folder / "session.json", error)) file.open(folder / "session.json");
    const auto whose = nlohmann::ordered_json::parse(file, nullptr, /*allow_exceptions=*/false);
    RunFacts facts;
    if (!whose.is_object()) return facts;  // and not compared: what can't be read is not unequal to anything either
    is_of_this_program_ = whose.contains("code_version") && whose["code_version"] == code_version_;
    for (const OperationRecord& operation : operations_) {
      if (whose != nlohmann::ordered_json{{"command", operation.command},
                                          {"arguments_json", operation.arguments_json},
                                          {"seed", operation.seed},
                                          {"code_version", operation.code_version}}) {
        continue;
      }
      facts.is_known = true;
      facts.has_version = facts.has_version || (!operation.version_after.empty() &&
                                                !freed_.freed_versions.contains(operation.version_after));
      facts.is_open = facts.is_open || operation.outcome != Outcome::done;
      if (operation.outcome == Outcome::done) facts.done_ms = std::max(facts.done_ms, operation.ended_ms);
    }
    return facts;
  }

  static bool was_done_since(const RunFacts& facts, fs::file_time_type written) {
    const auto since =
        std::chrono::duration_cast<std::chrono::milliseconds>(fs::file_time_type::clock::now() - written);
    const auto now =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    return facts.done_ms > (now - since).count();
  }

  bool remove(const fs::path& place, std::int64_t& bytes) {
    const Extent extent = extent_of(place);
    if (extent.newest >= limit_) return false;
    std::error_code error;
    if (!dry_run_) fs::remove_all(place, error);
    if (!error) bytes += extent.bytes;
    return !error;
  }

  const Registry& registry_;
  const GcResult& freed_;
  const std::string& code_version_;
  bool dry_run_;
  fs::file_time_type limit_;
  std::vector<OperationRecord> operations_;
  Leftovers found_;
  bool is_of_this_program_ = false;
};

}  // namespace

Leftovers collect_leftovers(const Registry& registry, const GcResult& freed, const std::string& code_version,
                            bool dry_run, std::int64_t grace_ms) {
  return Collection(registry, freed, code_version, dry_run, grace_ms).run();
}

}  // namespace mformer
