#include "core/workflows/undo_names.h"

#include "core/workflows/moves.h"

namespace mformer {

std::optional<NameChange> name_change_to_undo(const Registry& registry, const std::string& model) {
  auto change = registry.last_name_change(model);
  if (!change) return std::nullopt;
  const std::string name = model.empty() ? registry.current_model() : model;
  for (const ModelRecord& known : registry.models()) {
    if (known.name != name) continue;
    const auto moved = last_move(registry, name);
    const std::int64_t at = moved ? moved->id : registry.version(known.current_version).operation_id;
    if (at > change->operation_id) return std::nullopt;
  }
  return change;
}

void undo_name_change(RegistrySession& session, const NameChange& change) {
  session.arguments_json = undo_arguments(change.operation_id);
  run_operation(session, "", {},
                [&](std::int64_t operation) { session.registry.take_back(operation, change.operation_id); });
}

}  // namespace mformer
