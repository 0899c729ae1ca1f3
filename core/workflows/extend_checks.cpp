#include "core/workflows/extend_checks.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace mformer {

void check_base(const ExtendCommand& command, const LoadedVersion& base) {
  if (command.single_mask && !base.model.domains.empty()) {
    std::string clauses;
    for (const Domain& domain : base.model.domains) clauses += " domain=" + domain.name;
    throw Error(to_string(base.record) + " has domains, and a single mask would change what each of them reads",
                "extend it without --single-mask, or take the domains away first: mformer drop" + clauses);
  }
  if (command.single_mask || command.start != NewModules::copy) return;
  for (const auto& [kind, number] : {std::pair{Kind::att, command.heads}, std::pair{Kind::mlp, command.experts}}) {
    for (const Block& block : base.model.blocks) {
      const auto& modules = block.bank(kind).modules;
      const auto own = std::count_if(modules.begin(), modules.end(), [](const Module& m) { return m.domain.empty(); });
      if (number.value_or(0) > own) {
        throw UsageError("a domain copies each module at most once, and a layer has " + std::to_string(own) + " " +
                             std::string(to_string(kind)) + " modules",
                         "ask for fewer, or start the new ones otherwise: --start random");
      }
    }
  }
}

double default_rehearsal(const Registry& registry, const ExtendCommand& command, const std::string& task) {
  const auto tasks = registry.tasks();
  const bool earlier =
      std::any_of(tasks.begin(), tasks.end(), [&](const TaskRecord& known) { return known.name != task; });
  const bool otherwise_asked = command.replay == 0.0 || command.token_rows > 0;
  return command.single_mask && earlier && !otherwise_asked ? 1 : 0;
}

}  // namespace mformer
