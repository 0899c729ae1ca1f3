#include "core/workflows/undo.h"

namespace mformer {

UndoReport undo(Session& session, const std::string& model, bool dry_run) {
  Registry& registry = session.registry;
  const VersionRecord current = registry.version(registry.model(model).current_version);
  if (current.parent.empty()) {
    throw Error("there is nothing to undo: " + to_string(current) + " is where '" + model + "' began",
                "mformer log lists what was done");
  }
  UndoReport report{registry.operation(current.operation_id), current, registry.version(current.parent)};
  if (dry_run) return report;
  run_operation(session, model, {}, [&](std::int64_t operation) {
    registry.move_model(operation, model, report.to.hash, "undid " + report.undone.command);
  });
  return report;
}

}  // namespace mformer
