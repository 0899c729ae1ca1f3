#include "core/workflows/undo.h"

#include "core/workflows/moves.h"
#include "modules_registry/error.h"

namespace mformer {

UndoReport plan_undo(const Registry& registry, const std::string& model) {
  const VersionRecord current = registry.version(registry.model(model).current_version);
  const auto last = last_move(registry, model);
  if (last && !last->version_before.empty()) return {*last, current, registry.version(last->version_before)};
  if (current.parent.empty()) {
    throw Error("there is nothing to undo: " + to_string(current) + " is where '" + model + "' began",
                "mformer log lists what was done");
  }
  return {registry.operation(current.operation_id), current, registry.version(current.parent)};
}

void undo(RegistrySession& session, const std::string& model, const UndoReport& plan) {
  session.arguments_json = undo_arguments(plan.undone.id);
  run_operation(session, model, {}, [&](std::int64_t operation) {
    session.registry.move_model(operation, model, plan.from.hash, plan.to.hash, "undid " + plan.undone.command);
  });
}

RedoPlan plan_redo(const Registry& registry, const std::string& model, bool all_names) {
  const auto undo = last_undo(registry, model, all_names);
  if (!undo) {
    throw Error("there is nothing to redo: the last change of '" + model + "' and of names was no undo",
                "mformer log lists what was done");
  }
  const std::int64_t undone = undone_by(*undo);
  if (undone == 0) {
    throw Error("an older program made operation " + std::to_string(undo->id) + ", an undo, and did not keep of what",
                "mformer log " + std::to_string(undo->id) + " tells of it; mformer move MODEL REF moves a model");
  }
  RedoPlan plan{undo->id, {registry.operation(undone), {}, {}}, {}};
  if (undo->version_after.empty()) {
    plan.change = registry.name_change(undone);
    return plan;
  }
  if (undo->version_before.empty()) {
    throw Error("gc has freed the version that operation " + std::to_string(undo->id) + " went back from",
                "mformer log lists what was done");
  }
  const std::string& stands_at = registry.model(model).current_version;
  if (stands_at != undo->version_after) {
    throw Error("'" + model + "' stands at " + to_string(registry.version(stands_at)) + ", not where operation " +
                    std::to_string(undo->id) + " left it, so there is nothing to redo",
                "mformer log lists what was done");
  }
  plan.version.from = registry.version(stands_at);
  plan.version.to = registry.version(undo->version_before);
  return plan;
}

void redo(RegistrySession& session, const std::string& model, const RedoPlan& plan) {
  const OperationRecord& undone = plan.version.undone;
  session.arguments_json = undo_arguments(undone.id);
  run_operation(session, plan.change ? "" : model, {}, [&](std::int64_t operation) {
    if (plan.change) return session.registry.do_again(operation, undone.id, plan.undo);
    session.registry.move_model(operation, model, plan.version.from.hash, plan.version.to.hash,
                                "did " + undone.command + " again");
  });
}

}  // namespace mformer
