#pragma once

#include <string>

#include "core/model/model.h"
#include "modules_registry/registry.h"

namespace mformer {

/// The text of mformer_provenance.json (docs/checkpoints.md): the version, and for every module its identity, birth and
/// place, with its place in the parent version where it was there ("old → new"). `model` is the version's, or what is
/// written of it; `card` is the README.md beside it, whose hash tells whether it was edited since.
std::string provenance_json(const Registry& registry, const VersionRecord& version, const Model& model,
                            const std::string& card);

}  // namespace mformer
