#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/workspace/session.h"

namespace mformer {

/// Which of a version's hypotheses a command works on.
struct HypothesisChoice {
  std::string name;  ///< "base" or a domain; empty for a version without domains.
  std::string task;  ///< Whose text the posterior read; empty where the user named the hypothesis.
  std::vector<std::pair<std::string, double>> shares;  ///< The posterior's of each hypothesis; empty where not asked.
  std::vector<std::string> left_out;                   ///< The others: a version made of this one is without them.

  bool by_posterior() const { return !task.empty(); }
  double share() const;  ///< That of `name`.
};

/// The hypothesis that is named, or, where `domain` is empty, the one with the largest share of the posterior over the
/// task's training text (held-out text where there is none), of which the first 4,096 tokens, spread evenly, are read:
/// a number of its own, so that no other option changes the choice. Throws UsageError for an unknown name, and where
/// there is no text.
HypothesisChoice choose_hypothesis(const Session& session, const LoadedVersion& version, const TaskData& task,
                                   const std::string& domain);

/// Says by a message what the posterior chose, and writes it to the session's arguments, since it decides the result.
void announce(Session& session, const HypothesisChoice& choice);

/// "task qa is read by 'base' (96 %): working on it; --domain chooses another".
std::string to_string(const HypothesisChoice& choice);

/// The version as one of its hypotheses sees it: a plain model, and a manifest of only the modules that this sees.
/// `domain` is "base" or a domain's name; empty for a version without domains, which is returned as it is. Throws
/// UsageError for an unknown hypothesis.
LoadedVersion hypothesis_of(const LoadedVersion& version, const std::string& domain);

}  // namespace mformer
