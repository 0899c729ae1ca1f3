#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/training/snapshot.h"
#include "core/training/trainer.h"

namespace mformer {

/// What a run remembers of its validations: the weights of the lowest loss so far, and how many have come since. All of
/// it is tensors that a snapshot holds, so that a run that goes on chooses as one that was never cut. With neither
/// keep_best nor patience it remembers nothing.
class BestWeights {
 public:
  BestWeights(const std::vector<TrainedParameter>& parameters, const ValidationOptions& options);

  /// The loss of the weights as they are, after `step` steps; each step counts once. A loss that is not lower than the
  /// lowest, or is not finite, is no improvement.
  void note(std::int64_t step, double loss);

  /// Whether so many validations as `patience` brought no improvement; never without patience.
  bool is_stale() const;

  /// With keep_best, the step whose weights are kept; nothing before a loss was finite.
  std::optional<std::int64_t> kept_step() const;
  double lowest() const;

  /// Puts the kept weights into the parameters.
  void restore() const;

  /// Handles for the snapshot, on the CPU: of the numbers, and with keep_best of the weights ("best.NAME").
  NamedTensors state() const;

 private:
  std::vector<TrainedParameter> parameters_;
  ValidationOptions options_;
  at::Tensor numbers_;               ///< float64: the last step noted, the lowest loss, its step, validations since.
  std::vector<at::Tensor> weights_;  ///< On the CPU, one a parameter; empty without keep_best.
};

}  // namespace mformer
