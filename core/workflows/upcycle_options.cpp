#include <cmath>

#include "core/workflows/upcycle.h"
#include "modules_registry/error.h"

namespace mformer {

namespace {

void require_alone(const UpcycleCommand& command) {
  if ((command.experts > 0) == (command.slices > 0)) {
    throw UsageError("upcycle makes copies of a layer or slices of it, one of the two",
                     "--experts N for N copies, or --slices N");
  }
  if (!command.copies() && command.noise > 0) {
    throw UsageError("--noise is for copies: slices differ from the start", "leave it out");
  }
}

}  // namespace

void UpcycleCommand::validate() const {
  require_alone(*this);
  require_upcycling(form(), modules(), k);
  if (!(noise >= 0 && noise <= 1)) throw UsageError("--noise is a share, between 0 and 1", "for example --noise 0.02");
  if (balance && !(std::isfinite(*balance) && *balance >= 0)) {
    throw UsageError("--balance must not be negative", "0 leaves the balance loss out");
  }
  if (!(lower >= 0 && lower <= 1)) {
    throw UsageError("--lower is a share of the steps, between 0 and 1", "for example --lower 0.5");
  }
  if (steps < 0) throw UsageError("--steps must not be negative", "0 = no training");
  if (stat_tokens < 0) throw UsageError("--stat-tokens must not be negative", "0 = all");
  options.validate();
  loss.validate();
  if (loss.distill > 0 && steps == 0) throw UsageError("--distill needs steps that train", "for example --steps 200");
}

}  // namespace mformer
