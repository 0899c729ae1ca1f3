#pragma once

#include <string>

#include "core/workspace/session.h"

namespace mformer {

struct FreezeReport {
  std::optional<VersionRecord> version;  ///< Absent after a dry run, and when no flag changed.
  std::int64_t selected = 0;             ///< Modules that the selector names.
  std::int64_t changed = 0;              ///< Those whose flag was another.
};

/// Sets (or clears) the frozen flag of the selected modules, as a new version of model `target` that shares every
/// object with its parent `base`.
FreezeReport set_frozen(Session& session, const VersionRecord& base, const std::string& target,
                        const std::string& selector, bool frozen, bool dry_run);

}  // namespace mformer
