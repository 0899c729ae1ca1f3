#pragma once

#include <string>

#include "core/workspace/registry_session.h"

namespace mformer {

// What people do to the names of tasks, models and tags. With `dry_run` each only throws what would stop it.

/// Registry::rename and Registry::remove as operations of their own.
void rename(RegistrySession& session, Thing thing, const std::string& from, const std::string& to, bool dry_run);
void remove(RegistrySession& session, Thing thing, const std::string& name, bool dry_run);

/// Tags the version that `ref` means ("" = the current model's). Returns it.
VersionRecord make_tag(RegistrySession& session, const std::string& name, const std::string& ref, bool dry_run);

/// Makes a model that stands at the version that `ref` means, and returns the version.
VersionRecord make_branch(RegistrySession& session, const std::string& name, const std::string& ref, bool dry_run);

/// Where a model stood, and where it stands now.
struct MoveReport {
  VersionRecord from, to;
};
/// Points a model to the version that `ref` means; an operation even if it stands there already. Throws Error for a
/// version of a removed model.
MoveReport move_model(RegistrySession& session, const std::string& model, const std::string& ref, bool dry_run);

/// Throws Error, with what to do, for a version whose model was removed; `ref` is how it was named.
void require_not_removed(const VersionRecord& version, const std::string& ref);

}  // namespace mformer
