#pragma once

#include <string>
#include <vector>

#include "core/workspace/session.h"

namespace mformer {

struct EvalCommand {
  std::vector<std::string> tasks;  ///< Known tasks; empty = all.
  std::string data;                ///< A folder instead of tasks; need not be a task.
  std::string fields;              ///< Of its records, as TrainCommand::fields.
  std::string as_of;               ///< A version: modules born after it are masked. Empty = nothing is masked.
  std::string domain;              ///< One hypothesis, "base" or a domain's name; empty = the posterior decides.
  PosteriorMode mode = PosteriorMode::strict;  ///< Of a model with domains.
  std::int64_t max_tokens = 0;                 ///< Held-out tokens per task; 0 = all.
  std::int64_t context = 0;                    ///< 0 = the model's block size.
};

struct EvalRow {
  std::string task;
  std::optional<Evaluation> held_out;  ///< Absent when the held-out split is empty.
};

struct EvalReport {
  std::vector<EvalRow> rows;
  std::int64_t masked_modules = 0;
  std::vector<std::string> hypotheses;  ///< What the posterior chose among; one where nothing was to be chosen.
};

/// Held-out loss of each task. Without --as-of and with write access the scores are kept in the registry.
EvalReport evaluate_tasks(Session& session, const LoadedVersion& version, const EvalCommand& command, bool keep_scores);

/// Thrown where no mask can bring an earlier version back.
class NotAnExtension : public Error {
 public:
  using Error::Error;
};

/// `version`'s model with every module and domain born after version `as_of` masked, and with its embedding and head,
/// of which an extension may have trained rows: with the other parameters unchanged since then, its logits are bit for
/// bit those of `as_of`. Throws NotAnExtension if `as_of` is no ancestor, or if something that both share (the trunk, a
/// router, an old module) changed, since then a mask can't bring the old model back.
Model masked_as_of(const Registry& registry, const LoadedVersion& version, const std::string& as_of);

}  // namespace mformer
