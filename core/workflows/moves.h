#pragma once

#include <functional>
#include <optional>
#include <string>

#include "modules_registry/registry.h"

namespace mformer {

// What the log tells of how a model, and names, came to where they are. An undo keeps the operation that it took back
// in its arguments, {"operation": N}; programs before that kept nothing, and what they undid can't be done again.

/// The operation on the model's version that an undo takes back now: the newest that moved it and was not taken back.
/// Nothing where the log doesn't lead to the version that the model stands at.
std::optional<OperationRecord> last_move(const Registry& registry, const std::string& model);

/// The undo that a redo takes back now: the newest that was not taken back, of the model's version or of a name, unless
/// something else was done to one of them since. With `all_names` false only names of the model count.
std::optional<OperationRecord> last_undo(const Registry& registry, const std::string& model, bool all_names);

/// The operation that an undo took back; 0 where it was not kept.
std::int64_t undone_by(const OperationRecord& undo);
/// The arguments of an undo of that operation, as JSON.
std::string undo_arguments(std::int64_t undone);

}  // namespace mformer
