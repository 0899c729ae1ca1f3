#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/history/diff.h"
#include "core/workspace/session.h"

namespace mformer {

/// What a version must keep of another.
struct VerifyCommand {
  std::string against;             ///< The version that is to be kept.
  std::vector<std::string> tasks;  ///< Known tasks; empty = all with held-out text.
  std::optional<double> max_rise;  ///< Nats per token that any task's loss may rise by; absent = see `limit`.
  bool unchanged = false;          ///< Whether what `against` is made of must be in the version, bit for bit.
  std::int64_t max_tokens = 0;     ///< Held-out tokens per task, spread evenly; 0 = all.
};

/// One task's held-out losses, nats per token, of both versions over the same windows.
struct VerifiedTask {
  std::string task;
  double against = 0, loss = 0;
  std::int64_t tokens = 0;  ///< Targets that counted.
  /// The most by which domains born since can have raised the loss (EarlierMixture), where `against` is in the version
  /// bit for bit and only domains came to it.
  std::optional<double> bound = {};
  /// The rise that is allowed: the command's, or else the bound, or else 0.
  double limit = 0;
  std::string failure = {};  ///< Why it does not hold, as a clause; empty where it does.

  double rise() const { return loss - against; }
};

/// Whether a mask brings `against` back.
struct BroughtBack {
  std::string refusal;                   ///< Why no mask can (NotAnExtension), as a sentence; empty where one does.
  std::int64_t tokens = 0;               ///< Whose logits were compared, those of every hypothesis.
  std::optional<bool> bit_for_bit = {};  ///< Whether they were the same; absent where none were compared.
};

struct VerifyReport {
  VersionRecord version, against;
  bool same_version = false;
  std::int64_t context = 0;  ///< Tokens a window: the shorter of both models'.
  std::vector<VerifiedTask> tasks;
  std::vector<std::string> without_text;  ///< Tasks that have nothing to measure; only where none were named.
  VersionDiff objects;                    ///< From `against` to the version.
  BroughtBack as_of;
  std::vector<std::string> failures;  ///< Clauses, worst first; empty = it holds.

  bool holds() const { return failures.empty(); }
  /// The task whose loss rose the most, against its limit where several did not hold.
  const VerifiedTask& worst() const;
};

/// Measures both versions anew, whatever scores are kept: losses on held-out text, and, where a mask brings the older
/// one back, logits of the first 4,096 tokens of each task, spread evenly. Writes nothing.
///
/// It holds if every loss is finite in both and rises by no more than its limit and its bound, if logits that were
/// compared are the same to the last bit, and, with `unchanged`, if VersionDiff::nothing_old_changed() and logits were
/// compared. Of a version against itself the losses need only be finite.
/// Throws UsageError for unknown tasks, versions with different tokenizers, whose tokens can't be compared, and where
/// there is no task; Error for a task whose text can't be read, or (a named one) has nothing held out.
VerifyReport verify(Session& session, const LoadedVersion& version, const VerifyCommand& command);

/// "base@4 against base@2: 3 tasks, the largest rise 0.0021 nats per token of 'qa'; nothing old changed; …", or what
/// does not hold first; on one line, to follow "holds: " or "does not hold: ".
std::string to_string(const VerifyReport& report);

}  // namespace mformer
