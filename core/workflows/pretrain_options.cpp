#include "core/workflows/train.h"
#include "modules_registry/error.h"

namespace mformer {

void PretrainCommand::validate() const {
  options.validate();
  require_replay_share(replay);
  if (pools < 0 || pools == 1) {
    throw UsageError("--pools must be 0 (none) or at least 2", "--pools 2 lets a document use half of the modules");
  }
  if (!(pool_share > 0 && pool_share <= 1)) {
    throw UsageError("--pool-share is a share of the documents, above 0 and at most 1", "for example --pool-share 0.5");
  }
}

void require_replay_share(double replay) {
  if (!(replay >= 0 && replay < 1))
    throw UsageError("--replay is a share from 0 to below 1", "for example --replay 0.01");
}

}  // namespace mformer
