#pragma once

#include "core/workflows/matrix_figures.h"
#include "core/workspace/session.h"

namespace mformer {

struct MatrixCommand {
  std::vector<std::string> tasks;   ///< Known tasks; empty = all.
  std::int64_t max_tokens = 65536;  ///< Held-out tokens per task, as in the reports of train or extend; 0 = all.
  bool measure = true;              ///< Measure what the registry lacks. Otherwise it stays absent.
};

/// R along the lineage of `version`: its steps are the version's ancestors that were trained on a task (see
/// tasks_trained_by), and the version itself. Losses come from the registry's scores; what is missing is measured, and
/// with `keep` put there, as are routing statistics of the last version. Tasks whose data can't be read, and those
/// without held-out text, keep what the registry knows of them, with a message.
/// Throws Error when nothing in the lineage was trained, UsageError when a task is not known.
ScoreMatrix score_matrix(Session& session, const VersionRecord& version, const MatrixCommand& command, bool keep);

}  // namespace mformer
