#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/workspace/session.h"

namespace mformer {

/// Makes a version from a changed model. `base` is what it was made from; `into` names the model that gets it (empty =
/// base's own). Modules without uid are born for `task`; `origin` as in birth_records().
CommitResult commit_model(Session& session, std::int64_t operation, const LoadedVersion& base, Model& model,
                          const std::string& into, const std::string& task = "",
                          const std::function<std::string(Kind, int, std::int64_t)>& origin = {});

/// The same for a model all of whose modules have uids: `births` says how those came to be that the registry may not
/// know.
CommitResult commit_joined(Session& session, std::int64_t operation, const LoadedVersion& base, Model& model,
                           const std::string& into, std::vector<ModuleRecord> births);

/// What a command does when its version is made: `measure` is for its report alone. Nothing in it can unmake the
/// version, so the command has done its work whatever is thrown: returned is what cut the report off, for the report's
/// `cut_off`
/// ("it was interrupted", or the error's sentence), and "" where nothing did.
std::string after_commit(const std::function<void()>& measure);

/// The model that a writing command moves: `into`, or base's own. Throws Error where that is "": the workspace looks at
/// the version, and moves no model then.
std::string target_model(const LoadedVersion& base, const std::string& into);

}  // namespace mformer
