#include "core/history/commit.h"

#include <exception>

namespace mformer {
namespace {

/// What the model points to now; empty when it does not exist yet.
std::string current_version(const Registry& registry, const std::string& name) {
  for (const ModelRecord& model : registry.models()) {
    if (model.name == name) return model.current_version;
  }
  return "";
}

Commit commit_of(Session& session, std::int64_t operation, const LoadedVersion& base, Model& model,
                 const std::string& into) {
  Commit commit;
  commit.operation_id = operation;
  commit.model = target_model(base, into);
  commit.parent = base.record.hash;
  const bool own = commit.model == base.target;
  commit.expected_current = own ? base.record.hash : current_version(session.registry, commit.model);
  commit.manifest = store_model(session.registry, model, base.manifest.tokenizer_object);
  return commit;
}

CommitResult finish(Session& session, const LoadedVersion& base, const Commit& commit) {
  CommitResult result = session.registry.commit_version(commit);
  if (result.kept_beside) {
    session.watcher.say("'" + commit.model + "' does not stand at " + to_string(base.record) +
                        " (any more): the result is kept as '" + result.version.model + "'");
  }
  return result;
}

}  // namespace

std::string after_commit(const std::function<void()>& measure) {
  try {
    measure();
    return "";
  } catch (const EvaluationInterrupted&) {
    return "it was interrupted";
  } catch (const std::exception& error) {
    return error.what();
  }
}

std::string target_model(const LoadedVersion& base, const std::string& into) {
  if (into.empty() && base.target.empty()) refuse_while_looking(base.record);
  return into.empty() ? base.target : into;
}

CommitResult commit_model(Session& session, std::int64_t operation, const LoadedVersion& base, Model& model,
                          const std::string& into, const std::string& task,
                          const std::function<std::string(Kind, int, std::int64_t)>& origin) {
  Commit commit = commit_of(session, operation, base, model, into);
  commit.new_modules = birth_records(model, module_uids(base.manifest), session.command, task, origin);
  return finish(session, base, commit);
}

CommitResult commit_joined(Session& session, std::int64_t operation, const LoadedVersion& base, Model& model,
                           const std::string& into, std::vector<ModuleRecord> births) {
  Commit commit = commit_of(session, operation, base, model, into);
  commit.new_modules = std::move(births);
  return finish(session, base, commit);
}

}  // namespace mformer
