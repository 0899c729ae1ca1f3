#pragma once

#include <optional>
#include <string>

#include "core/workspace/session.h"

namespace mformer {

// What people do to the names of tasks, models and tags. With `dry_run` each only throws what would stop it.

struct AddedTask {
  enum class Outcome { added, known, moved, replaced };

  TaskData task;
  Outcome outcome = Outcome::added;
  std::string path_before;  ///< Of a task that was known: where its data lay.
};

/// Records data as a task, in one operation. A known task with the same content takes the new path; with another
/// content it is refused, unless `replace`: then its statistics and scores, which belong to the old data, go out of
/// sight, and an undo brings all of it back. Throws UsageError for a name that can't be a task's, and as open_task().
AddedTask add_task(Session& session, const Tokenizer& tokenizer, const std::string& name, const std::string& data,
                   bool replace, const std::string& fields, bool dry_run);

struct MovedTask {
  std::string task, from, to;  ///< Absolute paths.
  CorpusSummary data;
};

/// Says where a task's data lies now. Throws UsageError for an unknown task, Error unless it is the same data: the
/// content hash tells.
MovedTask move_task(Session& session, const std::string& task, const std::string& data, bool dry_run);

/// Registry::rename and Registry::remove as operations of their own.
void rename(Session& session, Thing thing, const std::string& from, const std::string& to, bool dry_run);
void remove(Session& session, Thing thing, const std::string& name, bool dry_run);

/// Tags the version that `ref` means ("" = the current model's). Returns it.
VersionRecord make_tag(Session& session, const std::string& name, const std::string& ref, bool dry_run);

}  // namespace mformer
