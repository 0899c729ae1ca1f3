#include <algorithm>
#include <string>

#include "core/surgery/upcycle.h"
#include "modules_registry/error.h"

namespace mformer {

void require_upcycling(UpcycleForm form, std::int64_t modules, std::int64_t k) {
  const bool copies = form == UpcycleForm::copies;
  const std::string option = copies ? "--experts" : "--slices";
  if (modules < 2 || modules > UpcyclePlan::kMostModules) {
    throw UsageError(option + " is " + std::to_string(modules) + ", but must lie between 2 and " +
                         std::to_string(UpcyclePlan::kMostModules),
                     "a router needs something to choose from: for example " + option + " 8");
  }
  if (k < 1 || k > modules) {
    throw UsageError("--k is " + std::to_string(k) + ", but a token chooses from 1 to " + std::to_string(modules) +
                         " of " + std::to_string(modules) + (copies ? " copies" : " slices"),
                     "for example --k " + std::to_string(copies ? std::min<std::int64_t>(2, modules) : modules / 2));
  }
}

}  // namespace mformer
