#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/workspace/session.h"

namespace mformer {

struct BlameCommand {
  std::string task;                        ///< A known one.
  std::optional<std::int64_t> max_tokens;  ///< Held-out tokens, 0 = all; nothing = 65,536, and routing as it is known.
};

/// The modules of a version that one operation gave birth to, and what a task owes to them.
struct BlamedBirth {
  std::int64_t operation = 0;
  std::string command, born_for;  ///< "extend", "german"
  std::int64_t modules = 0;
  std::vector<std::string> domains;  ///< Those that have no other modules, so that their private parts go with these.
  /// Of the task's routing (core/workspace/module_share.h), by (layer, kind), and its mean over these.
  std::map<std::pair<int, Kind>, double> shares;
  double share = 0;
  std::optional<double> masked_loss;  ///< The task's loss without these modules; absent where they can't be masked.
  std::string refusal;                ///< Why not, as a sentence; empty where they were.
};

struct BlameReport {
  std::int64_t tokens = 0;          ///< Targets that the losses are means over.
  double loss = 0;                  ///< Of the whole version, nats per token.
  bool measured = false;            ///< The routing just now, rather than taken from the registry.
  std::vector<BlamedBirth> births;  ///< In the order of the operations.
  /// The loss without all births after the first that can be masked one by one, all at once; absent where there are
  /// fewer than two, or too little would be left. (Without the first too, nothing would.)
  std::optional<double> loss_without_all;

  /// What a birth is worth to the task: how much its loss rises without it.
  std::optional<double> gain(const BlamedBirth& birth) const;
  /// Of those at once, and the sum of their gains, each masked alone: the same where the births do without each other.
  std::optional<double> gain_of_all() const;
  double sum_of_gains() const;
};

/// Who a task's performance is owed to: for every operation whose modules the version has, their share of the task's
/// routing, and the task's held-out loss without them, over the same windows each time. Throws UsageError for an
/// unknown task, Error where its text can't be read or none is held out. Statistics are kept with `keep`.
BlameReport blame(Session& session, const LoadedVersion& version, const BlameCommand& command, bool keep);

}  // namespace mformer
