#include <algorithm>
#include <system_error>

#include "modules_registry/database.h"
#include "modules_registry/error.h"
#include "modules_registry/registry.h"

// Where the data of tasks lies. What lies in the workspace's folder is kept relative to it, so that the folder can be
// moved, renamed and copied; anything else is kept as an absolute path.
namespace mformer {

namespace {

namespace fs = std::filesystem;

fs::path real(const fs::path& path) {
  std::error_code error;
  fs::path found = fs::weakly_canonical(path, error);
  return error ? path.lexically_normal() : found;
}

/// `path` as seen from `root`, if it is `root` or lies in it; else empty.
fs::path below(const fs::path& path, const fs::path& root) {
  fs::path relative = path.lexically_relative(root);
  if (relative.empty() || *relative.begin() == "..") return {};
  if (relative.has_filename()) return relative;
  return relative.parent_path();  // "english/" names the same folder as "english"
}

/// The identity that copies of a workspace share and others don't: that of its first operation; "" if it has none.
std::string first_operation(Database& db) {
  Query row(db, "SELECT uid FROM operations ORDER BY id LIMIT 1");
  return row.next() ? row.text(0) : "";
}

/// `path` as seen from another workspace that has the same history, of which this one is a copy; empty if it lies in
/// none. The nearest workspace above `path` counts.
fs::path below_original(const fs::path& path, const std::string& history) {
  const auto around = Registry::find(path);
  if (!around) return {};
  try {
    Database other(*around / ".mformer" / "registry.db", Database::Mode::read_only);
    return first_operation(other) == history ? below(path, *around) : fs::path();
  } catch (const Error&) {
    return {};  // whatever is there is no copy that we could know
  }
}

}  // namespace

fs::path Registry::workspace() const {
  return fs::absolute(folder_).lexically_normal().parent_path();
}

std::string Registry::kept_path(const std::string& path) const {
  const fs::path normal = fs::path(path).lexically_normal();
  if (!normal.is_absolute()) return path;
  fs::path relative = below(normal, workspace());
  if (relative.empty()) relative = below(real(normal), real(workspace()));
  return relative.empty() ? path : relative.string();
}

std::string Registry::place_of(const std::string& kept) const {
  const fs::path path(kept);
  if (path.is_absolute()) return kept;
  return kept == "." ? workspace().string() : (workspace() / path).lexically_normal().string();
}

/// Paths of a registry from when all were absolute: those that lie in this workspace's folder become relative; in a
/// copy, also those that lie in the folder of the original.
void Registry::adopt_old_paths() {
  std::vector<std::pair<std::int64_t, std::string>> adopted;
  {
    const std::string history = first_operation(*db_);
    Query rows(*db_, "SELECT id, data_path FROM tasks JOIN old_paths ON task_id = id");
    while (rows.next()) {
      std::string kept = kept_path(rows.text(1));
      if (fs::path(kept).is_absolute()) kept = below_original(kept, history).string();
      if (!kept.empty()) adopted.emplace_back(rows.integer(0), kept);
    }
  }
  Query change(*db_, "UPDATE tasks SET data_path = ? WHERE id = ?");
  Query forget(*db_, "DELETE FROM old_paths WHERE task_id = ?");
  for (const auto& [id, kept] : adopted) {
    change.bind(kept, id).run();
    forget.bind(id).run();
  }
}

std::vector<fs::path> Registry::other_places(const TaskRecord& task) const {
  if (!task.old_path) return {};
  // The longest ending first: it says most.
  std::vector<fs::path> places;
  fs::path ending = fs::path(task.data_path).relative_path();
  while (!ending.empty()) {
    std::error_code missing;
    if (fs::exists(workspace() / ending, missing)) places.push_back(workspace() / ending);
    fs::path shorter;
    for (auto part = std::next(ending.begin()); part != ending.end(); ++part) shorter /= *part;
    ending = shorter;
  }
  return places;
}

}  // namespace mformer
