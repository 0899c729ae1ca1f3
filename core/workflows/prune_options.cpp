#include "core/workflows/prune.h"

#include "modules_registry/error.h"

namespace mformer {

void PruneCommand::validate() const {
  options.validate();
  validation.validate();
  ModuleChoice::validate();
  loss.validate();
  if (heal_steps < 0) throw UsageError("--heal-steps must not be negative", "0 = no healing");
  if (tune_steps < 0) throw UsageError("--tune-steps must not be negative", "0 = no tuning");
  if (heal_steps > 0 && tune_steps > 0) {
    throw UsageError("--heal-steps and --tune-steps exclude each other", "tuning trains the routers too");
  }
  if (loss.distill > 0 && heal_steps + tune_steps == 0) {
    throw UsageError("--distill needs steps that train", "for example --tune-steps 200, or --heal-steps 50");
  }
  if (validation.chooses() && heal_steps + tune_steps == 0) {
    throw UsageError("--keep-best and --patience need steps that train",
                     "for example --tune-steps 200, or --heal-steps 50");
  }
}

}  // namespace mformer
