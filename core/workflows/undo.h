#pragma once

#include "core/workspace/session.h"

namespace mformer {

struct UndoReport {
  OperationRecord undone;  ///< The operation whose effect on the model was taken back.
  VersionRecord from, to;  ///< Where the model pointed, and where it points now.
};

/// Moves a model back to the version before the operation that made its current version; is itself an operation.
/// Again, it goes back one more. Nothing is deleted: `mformer use NAME@N` goes forward again.
/// Throws Error when the current version has nothing before it.
UndoReport undo(Session& session, const std::string& model, bool dry_run);

}  // namespace mformer
