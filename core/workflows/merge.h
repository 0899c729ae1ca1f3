#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/workflows/train.h"

namespace mformer {

struct MergeCommand {
  std::map<std::string, std::string> rename;  ///< Domains of the second branch that get another name.
  std::string into;                           ///< Model that gets the version; empty = the first branch's own.
  bool restart = false;
  bool dry_run = false;
  std::int64_t eval_tokens = 65536;  ///< Held-out tokens per task for the losses that are reported; 0 = all.
  /// Steps that train only router rows of modules which either branch added for everybody, on an even mix of all tasks
  /// that the branches were trained on.
  std::int64_t review_steps = 0;
  StepOptions options;  ///< Of the review.

  /// Throws UsageError for what is out of its range.
  void validate() const;
};

/// Held-out loss of one task, nats per token.
struct MergedTask {
  std::string task;
  std::optional<double> ancestor, a, b, merged;
  std::int64_t tokens = 0;
};

struct MergeReport {
  std::optional<VersionRecord> version;  ///< Absent after a dry run.
  bool kept_beside = false;
  VersionRecord ancestor;
  std::int64_t from_a_att = 0, from_a_mlp = 0;  ///< Modules that the first branch added to the ancestor,
  std::int64_t from_b_att = 0, from_b_mlp = 0;  ///< and those of the second that the first did not have.
  std::int64_t frozen = 0;                      ///< Modules of the merged model that are frozen, by either branch.
  std::vector<std::string> domains;             ///< Of the merged model.
  ModelSize size_before, size_after;            ///< Of the first branch and of the merged model.
  std::int64_t added_bytes = 0;                 ///< Stored, beyond what the first branch had.
  TrainableCount trainable;                     ///< In the review.
  std::optional<TrainResult> review;
  std::vector<MergedTask> tasks;  ///< Every task whose data can be read.
  std::string run_folder;         ///< Of the review; empty without.
  std::string cut_off;            ///< What kept the rest of the report from being measured; see after_commit().
};

/// Two versions with a common ancestor as one: see core/surgery/join.h. The new version's parent is `a`; `b` is in
/// the operation's arguments, which the caller writes, as "b_hash" (see merged_branch()). Throws Error with a hint when
/// there is no common ancestor, when one is the other's ancestor, when a branch changed what the ancestor had, or when
/// a review has nothing to train or no data.
///
/// `of_b`: the registry that `b` was loaded from, another than the session's where the branch was made in a copy of the
/// workspace, on another machine say. Only read: its modules come with their identities, and the names of its tasks.
MergeReport merge(Session& session, const LoadedVersion& a, const LoadedVersion& b, const MergeCommand& command,
                  const Registry& of_b);

}  // namespace mformer
