#include "core/surgery/prune_selection.h"
#include "modules_registry/error.h"

namespace mformer {

void ModuleChoice::validate() const {
  if (equal && scope == PruneScope::global) {
    throw UsageError("--equal keeps as many modules in every layer, --scope global as many as the scores say",
                     "leave one of them out");
  }
  if (keep > 0 && keep <= 1) return;
  throw UsageError("--keep must be a fraction above 0 and at most 1",
                   "for example --keep 0.3 keeps 30 % of the modules");
}

}  // namespace mformer
