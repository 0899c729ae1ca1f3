#include "core/workflows/extend_checks.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace mformer {

void check_options(const ExtendCommand& command) {
  command.options.validate();
  const std::int64_t experts = command.experts.value_or(1), heads = command.heads.value_or(1);
  if (experts < 0 || heads < 0 || experts + heads == 0) {
    throw UsageError("--experts and --heads must not be negative, and not both 0", "for example --experts 4 --heads 2");
  }
  if (!(command.budget.value_or(1) > 0)) throw UsageError("--budget must be positive", "for example --budget 0.3");
  if (command.budget.has_value() && command.experts.has_value() && command.heads.has_value()) {
    throw UsageError("--budget decides how many modules there are, but both numbers are given",
                     "leave --budget out, or one of --experts and --heads");
  }
  const double replay = command.replay.value_or(0);
  require_replay_share(replay);
  if (!(command.memory > 0 && command.memory <= 1))
    throw UsageError("--memory is a share above 0 and at most 1", "for example --memory 0.01");
  const double rehearse = command.rehearse.value_or(0);
  if (!(rehearse >= 0 && std::isfinite(rehearse)))
    throw UsageError("--rehearse must not be negative", "1 = as much as is new, 0 = nothing");
  if (!(command.rehearse_weight > 0)) throw UsageError("--rehearse-weight must be positive", "for example 16");
  if (command.rehearses() && command.token_rows > 0)
    throw UsageError("--token-rows is for training without rehearsal, which trains all rows", "add --rehearse 0");
  if (!(command.separation >= 0)) throw UsageError("--separation must not be negative", "0 = none");
  if (command.token_rows < 0) throw UsageError("--token-rows must not be negative", "0 = no row of an old token");
  if (!(command.penalty >= 0)) throw UsageError("--penalty must not be negative", "for example --penalty 0.5");
  if (command.review_steps.value_or(0) < 0) throw UsageError("--review-steps must not be negative", "0 = no review");
  if (command.single_mask && command.eight_bits) {
    throw UsageError("--store is for what a domain has for itself, and --single-mask makes none",
                     "leave one of the two out; mformer export --quantize int8 writes a whole model in 8 bits");
  }
  const bool reviewed = command.review_steps.value_or(0) > 0;
  if (!command.single_mask &&
      (rehearse > 0 || replay > 0 || command.token_rows > 0 || command.penalty > 0 || reviewed)) {
    throw UsageError("--rehearse, --replay, --token-rows, --penalty and --review-steps belong to --single-mask",
                     "a domain of its own needs none of them: other text never meets it");
  }
}

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
