#pragma once

#include <string>

#include "modules_registry/database.h"
#include "modules_registry/records.h"

namespace mformer {

// What renames and removals do to rows, each inside the caller's transaction. Inside modules_registry only.

/// Throws UsageError if a task (or, for a model or tag, a model or tag) has the name.
void require_free(Database& db, Thing thing, const std::string& name);

/// Gives the rows of a model or task another name. References are checked at the end of the transaction.
void rename_rows(Database& db, Thing thing, const std::string& from, const std::string& to);

/// Writes down what an operation did to a name. `undoable`: an undo may take it back.
void note_change(Database& db, const NameChange& change, bool undoable);

}  // namespace mformer
