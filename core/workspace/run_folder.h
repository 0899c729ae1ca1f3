#pragma once

#include <filesystem>
#include <string>

#include "core/training/trainable.h"
#include "core/workspace/session.h"

namespace mformer {

/// All that decides a run's result beside the session's command, arguments, seed and code version. Whoever leaves
/// something out lets a run go on as another.
struct RunIdentity {
  std::string base;    ///< Hash of the version that it starts from.
  std::string data;    ///< Content of everything that is read: see content_of().
  std::string others;  ///< Whatever else: hashes of a teacher or a second branch, names of what is trained.
};

/// The content hash of a task's data, and of several, with their names and in their order.
std::string content_of(const TaskData& task);
std::string content_of(const std::vector<TaskData>& tasks);

/// Names and shapes, for RunIdentity::others: what is trained may be chosen by statistics that change.
std::string names_of(const std::vector<TrainedParameter>& parameters);

/// Where a run keeps its metrics and snapshots: `.mformer/runs/ID`, with session.json, which says whose it is. The same
/// run again finds an unfinished one's folder. It is locked while this object lives.
class RunFolder {
 public:
  /// With `restart` the folder is emptied. Throws Error when another process is at work on the same run.
  RunFolder(const Session& session, const RunIdentity& identity, bool restart);

  const std::filesystem::path& path() const { return path_; }
  /// Drops the snapshots; the metrics stay.
  void finish() const;

 private:
  std::filesystem::path path_;
  FileLock lock_;
};

}  // namespace mformer
