#pragma once

#include "core/training/trainer.h"
#include "kernels/frozen_panels.h"

namespace mformer {

/// Of one batch; over the batches of a step the three add up to the step's.
struct StepLoss {
  double cross_entropy = 0, balance = 0, total = 0;

  void operator+=(const StepLoss& other) {
    cross_entropy += other.cross_entropy, balance += other.balance, total += other.total;
  }
};

using FrozenPanels = c10::intrusive_ptr<kernels::FrozenPanels>;

/// Runs this process' rows of a batch forward and back: gradients are added to those of the parameters. `all` is the
/// whole batch, as every process has it. With a group `balance` is the whole batch's, the others are this process'
/// part.
StepLoss forward_backward(const TrainTask& task, const TrainOptions& options, const Batch& all,
                          const FrozenPanels& frozen);

}  // namespace mformer
