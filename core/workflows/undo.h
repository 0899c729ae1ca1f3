#pragma once

#include <optional>

#include "core/workspace/registry_session.h"

namespace mformer {

struct UndoReport {
  OperationRecord undone;  ///< The operation whose effect on the model was taken back; of a redo: done again.
  VersionRecord from, to;  ///< Where the model pointed, and where it points now.
};

/// What undo() would do to the model as it stands now. Throws Error when its version has nothing before it.
UndoReport plan_undo(const Registry& registry, const std::string& model);

/// Takes the last operation that moved a model, and was not taken back, back: the model goes to where it stood before,
/// or to the version that its own was made from. Is itself an operation. Again, it goes back one more. Nothing is
/// deleted: redo() goes forward again. Throws Error, and moves nothing, when another command has moved the model since
/// it was planned.
void undo(RegistrySession& session, const std::string& model, const UndoReport& plan);

/// What a redo does: to a model's version or to a name.
struct RedoPlan {
  std::int64_t undo = 0;             ///< The undo that is taken back.
  UndoReport version{};              ///< `undone` is the operation that is done again; the rest only of a version's.
  std::optional<NameChange> change;  ///< What is done again to a name.
};

/// What redo() would do now: the last undo of the model's version or of a name that was not taken back, unless
/// something else was done to one of them since. With `all_names` false only names of the model count. Throws Error
/// when there is none.
RedoPlan plan_redo(const Registry& registry, const std::string& model, bool all_names);

/// Takes an undo back; is itself an operation. Throws Error, and changes nothing, when another command was faster.
void redo(RegistrySession& session, const std::string& model, const RedoPlan& plan);

}  // namespace mformer
