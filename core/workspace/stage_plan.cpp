#include "core/workspace/stage_plan.h"

#include <algorithm>

namespace mformer {

StagePlan& StagePlan::tokenise(const LoadedVersion& version, const Names& tasks) {
  if (!version.tokenizer) return *this;
  for (const std::string& task : tasks) {
    if (!is_at_hand(task, *version.tokenizer)) stages_.push_back("tokenise " + task);
  }
  return *this;
}

StagePlan& StagePlan::evaluate(const Names& tasks, const std::string& version, std::int64_t max_tokens) {
  for (const std::string& task : tasks) {
    const bool asks = !version.empty() && session_.registry.has_task(task);
    if (asks && known_score(session_.registry, version, task, max_tokens)) continue;
    stages_.push_back(stage_of(task, Split::held_out));
  }
  return *this;
}

StagePlan& StagePlan::routing(const Names& tasks) {
  for (const std::string& task : tasks) stages_.push_back("routing of " + task);
  return *this;
}

StagePlan& StagePlan::then(const std::string& stage, std::int64_t times) {
  stages_.insert(stages_.end(), static_cast<std::size_t>(times), stage);
  return *this;
}

bool StagePlan::is_at_hand(const std::string& task, const Tokenizer& tokenizer) const {
  if (!session_.registry.has_task(task)) return false;
  const TaskRecord record = session_.registry.task(task);
  return is_in_token_cache(record.data_path, tokenizer, token_folder_of(session_), RecordFields::parse(record.fields));
}

void StagePlan::announce() const {
  if (session_.watcher.plan) session_.watcher.plan(stages_);
}

StagePlan::Names all_tasks(const Registry& registry, const std::string& own) {
  StagePlan::Names names;
  for (const TaskRecord& task : registry.tasks()) names.push_back(task.name);
  if (!own.empty() && std::find(names.begin(), names.end(), own) == names.end()) names.push_back(own);
  return names;
}

StagePlan::Names other_tasks(const Registry& registry, const std::string& own) {
  StagePlan::Names names = all_tasks(registry);
  std::erase(names, own);
  return names;
}

}  // namespace mformer
