#include <cmath>

#include "core/training/trainer.h"
#include "modules_registry/error.h"

namespace mformer {

namespace {

void require(bool holds, const char* what, const char* hint) {
  if (!holds) throw UsageError(what, hint);
}

}  // namespace

void TrainOptions::validate() const {
  require(steps >= 1, "--steps must be at least 1", "for example --steps 1000");
  ValidationOptions::validate();
  StepOptions::validate();
}

void ValidationOptions::validate() const {
  require(eval_every >= 0, "--eval-every must not be negative", "0 = only at the end");
  require(patience >= 0, "--patience must not be negative", "0 = all steps are taken");
  require(eval_every > 0 || !chooses(),
          "--keep-best and --patience go by validation losses, and there is only one, at the end",
          "say how often: for example --eval-every 50");
}

void StepOptions::validate() const {
  require(batch_size >= 1, "--batch must be at least 1", "for example --batch 8");
  require(accumulate >= 1, "--accumulate must be at least 1", "for example --accumulate 4");
  require(context >= 0, "--context must be at least 1", "leave it out for the model's own block size");
  require(std::isfinite(learning_rate) && learning_rate > 0, "--lr must be a positive number", "for example --lr 1e-3");
  require(warmup >= 0 && warmup <= 1, "--warmup is a share of the steps, between 0 and 1", "for example --warmup 0.05");
  require(std::isfinite(clip) && clip >= 0, "--clip must be 0 (off) or positive", "for example --clip 1");
  require(std::isfinite(adamw.weight_decay) && adamw.weight_decay >= 0, "--weight-decay must not be negative",
          "for example --weight-decay 0.1");
  require(snapshot_every >= 0, "--snapshot-every must not be negative", "0 = only when interrupted");
}

}  // namespace mformer
