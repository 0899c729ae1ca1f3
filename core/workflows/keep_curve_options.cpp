#include "core/workflows/keep_curve.h"
#include "modules_registry/error.h"

namespace mformer {

void KeepCurveCommand::validate() const {
  if (fractions.empty()) throw UsageError("--fractions names none", "for example --fractions 1,0.5,0.3");
  for (const double keep : fractions) {
    if (!(keep > 0 && keep <= 1)) {
      throw UsageError("--fractions are above 0 and at most 1", "for example --fractions 1,0.5,0.3");
    }
  }
  if (criteria.empty()) throw UsageError("--criteria names none", "for example --criteria gate-mass,random");
  if (seeds < 1) throw UsageError("--seeds must be at least 1", "for example --seeds 3");
}

}  // namespace mformer
