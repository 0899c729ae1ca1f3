#pragma once

#include <string>

#include "core/workspace/version_store.h"

namespace mformer {

/// The version as one of its hypotheses sees it: a plain model, and a manifest of only the modules that this sees.
/// `domain` is "base" or a domain's name; empty for a version without domains, which is returned as it is. Throws
/// UsageError if a version with domains is meant and none is named, or an unknown one.
LoadedVersion hypothesis_of(const LoadedVersion& version, const std::string& domain);

}  // namespace mformer
