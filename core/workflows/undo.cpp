#include "core/workflows/undo.h"

#include "modules_registry/error.h"

namespace mformer {

UndoReport plan_undo(const Registry& registry, const std::string& model) {
  const VersionRecord current = registry.version(registry.model(model).current_version);
  if (current.parent.empty()) {
    throw Error("there is nothing to undo: " + to_string(current) + " is where '" + model + "' began",
                "mformer log lists what was done");
  }
  return {registry.operation(current.operation_id), current, registry.version(current.parent)};
}

void undo(RegistrySession& session, const std::string& model, const UndoReport& plan) {
  run_operation(session, model, {}, [&](std::int64_t operation) {
    session.registry.move_model(operation, model, plan.from.hash, plan.to.hash, "undid " + plan.undone.command);
  });
}

}  // namespace mformer
