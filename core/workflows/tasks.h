#pragma once

#include <string>

#include "core/workspace/task_data.h"

namespace mformer {

// Data sets under a name. With `dry_run` each only throws what would stop it. Their names alone: names.h.

struct AddedTask {
  enum class Outcome { added, known, moved, replaced };

  TaskData task;
  Outcome outcome = Outcome::added;
  std::string path_before;  ///< Of a task that was known: where its data lay.
};

/// Records data as a task, in one operation. A known task with the same content takes the new path; with another
/// content it is refused, unless `replace`: then its statistics and scores, which belong to the old data, go out of
/// sight, and an undo brings all of it back. Throws UsageError for a name that can't be a task's, and as open_task().
AddedTask add_task(RegistrySession& session, const Tokenizer& tokenizer, const std::string& name,
                   const std::string& data, bool replace, const std::string& fields, bool dry_run);

struct MovedTask {
  std::string task, from, to;  ///< Absolute paths.
  CorpusSummary data;
};

/// Says where a task's data lies now. Throws UsageError for an unknown task, Error unless it is the same data: the
/// content hash tells.
MovedTask move_task(RegistrySession& session, const std::string& task, const std::string& data, bool dry_run);

}  // namespace mformer
