#pragma once

#include "core/workflows/extend.h"

namespace mformer {

/// Throws Error for a single mask on a model with domains, and UsageError where a domain would copy more modules than a
/// layer of the base has.
void check_base(const ExtendCommand& command, const LoadedVersion& base);

/// What `rehearse` is where the command leaves it open; `task`: the name of the new one.
double default_rehearsal(const Registry& registry, const ExtendCommand& command, const std::string& task);

}  // namespace mformer
