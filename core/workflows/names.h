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

}  // namespace mformer
