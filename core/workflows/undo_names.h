#pragma once

#include <optional>
#include <string>

#include "core/workspace/registry_session.h"

namespace mformer {

/// The operation on names that an undo takes back: the newest that was not taken back, where it is newer than the
/// operation that made the model's version. With `model` that model and its names alone are looked at; "" means the
/// current model and all names. Nothing: the undo is for the model's version.
std::optional<NameChange> name_change_to_undo(const Registry& registry, const std::string& model);

/// Takes it back; is itself an operation. Throws Error, and changes nothing, when another command was faster.
void undo_name_change(RegistrySession& session, const NameChange& change);

}  // namespace mformer
