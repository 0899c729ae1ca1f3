#pragma once

#include "core/workspace/registry_session.h"

namespace mformer {

struct UndoReport {
  OperationRecord undone;  ///< The operation whose effect on the model was taken back.
  VersionRecord from, to;  ///< Where the model pointed, and where it points now.
};

/// What undo() would do to the model as it stands now. Throws Error when its version has nothing before it.
UndoReport plan_undo(const Registry& registry, const std::string& model);

/// Moves a model back to the version before the operation that made its current version; is itself an operation.
/// Again, it goes back one more. Nothing is deleted: `mformer use NAME@N` goes forward again.
/// Throws Error, and moves nothing, when another command has moved the model since it was planned.
void undo(RegistrySession& session, const std::string& model, const UndoReport& plan);

}  // namespace mformer
