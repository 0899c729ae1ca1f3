#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/text/token_cache.h"
#include "core/workspace/session.h"

namespace mformer {

/// Collects the stages that a command will go through, in their order, and tells the session's watcher. What is known
/// already (tokens in the cache, scores in the registry) is no stage.
///
///     StagePlan(session).tokenise(base, {"qa"}).then("train").evaluate(all_tasks(session.registry, "qa")).announce();
class StagePlan {
 public:
  using Names = std::vector<std::string>;

  explicit StagePlan(Session& session) : session_(session) {}

  /// Of tasks whose tokens are in the cache nothing; of a version without tokenizer nothing.
  StagePlan& tokenise(const LoadedVersion& version, const Names& tasks);
  /// Held-out losses; with `version`, a hash, those alone that scored() would measure.
  StagePlan& evaluate(const Names& tasks, const std::string& version = "", std::int64_t max_tokens = 0);
  StagePlan& routing(const Names& tasks);
  /// A stage by its own name, so many times, 0 for none.
  StagePlan& then(const std::string& stage, std::int64_t times = 1);
  void announce() const;

 private:
  bool is_at_hand(const std::string& task, const Tokenizer& tokenizer) const;

  Session& session_;
  std::vector<std::string> stages_;
};

/// The names of the registry's tasks, in their order, and of `own` if it is not among them (or empty).
StagePlan::Names all_tasks(const Registry& registry, const std::string& own = "");

/// The same without `own`.
StagePlan::Names other_tasks(const Registry& registry, const std::string& own);

}  // namespace mformer
