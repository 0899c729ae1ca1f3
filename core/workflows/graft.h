#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/workflows/train.h"

namespace mformer {

struct GraftCommand {
  std::string
      domain;  ///< Name of the new domain; empty = the task that the small version was made for, numbered if taken.
  std::string into;  ///< Model that gets the version; empty = the full one's own.
  bool dry_run = false;
  std::int64_t eval_tokens = 65536;  ///< Held-out tokens per task for the losses that are reported; 0 = all.
};

struct GraftReport {
  std::optional<VersionRecord> version;  ///< Absent after a dry run.
  bool kept_beside = false;
  std::string domain;
  std::int64_t att_modules = 0, mlp_modules = 0;  ///< Grafted.
  std::int64_t private_weights = 0;               ///< Of trunk and routers, that the domain has for itself.
  ModelSize size_before, size_after;
  std::int64_t added_bytes = 0;   ///< On disk; 0 after a dry run.
  std::vector<TaskChange> tasks;  ///< Every task known; empty after a dry run.
  std::string cut_off;            ///< What kept the rest of the report from being measured; see after_commit().
};

/// Puts `small`, made from `full` by prune or finetune, back into `full` as a domain that is alone (core/model/
/// domains.h): its modules become new ones, copied from the modules of the same identity, and what its trunk and
/// routers have different becomes private to the domain, of embedding and head only the rows that differ. The
/// hypothesis of the domain is `small` bit for bit, and every other hypothesis stays as it was; the posterior decides
/// who reads what. Throws Error if `small` was not made from `full`'s modules, has another shape or tokenizer, or has
/// domains itself, and UsageError if the name asked for is taken.
GraftReport graft(Session& session, const LoadedVersion& full, const LoadedVersion& small, const GraftCommand& command);

}  // namespace mformer
