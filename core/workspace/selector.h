#pragma once

#include <string>
#include <vector>

#include "core/model/model.h"
#include "modules_registry/registry.h"

namespace mformer {

/// Picks modules of a version. Comma-separated clauses, which must all hold:
///
///     all                   every module
///     kind=att | kind=mlp
///     layer=2, layer=0-3    layers, inclusive
///     index=4, index=0-7    positions in their bank
///     uid=3f2a              modules whose uid starts so
///     born=extend           born by this command; born=extend:de by it for task de, however often it was extended for
///     domain=german         the modules of this domain; domain=base those that belong to none
///     frozen | unfrozen
///     share(qa)>=0.02       share of the task's top-k slots in its (layer, kind); also <= > <
///     top-share(qa)=0.9     the fewest most-used modules of each (layer, kind) that together take this share
///
/// The share clauses need routing statistics of (version, task): mformer inspect routing --task qa records them.
/// Throws UsageError for a clause that can't be read (naming the known ones) before anything is looked up, and for an
/// unknown domain or task; Error when statistics are missing or nothing is selected.
ModuleSelection select_modules(const Registry& registry, const std::string& version, const Manifest& manifest,
                               const std::string& selector);

/// How many modules are selected.
std::int64_t count(const ModuleSelection& selection);

}  // namespace mformer
