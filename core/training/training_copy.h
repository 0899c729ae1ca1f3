#pragma once

#include <ATen/core/Tensor.h>

#include "core/model/model.h"
#include "core/training/trainable.h"

namespace mformer {

/// The model that a training runs on, where that is not on the CPU. On the CPU it is the model itself. On another
/// device it is a copy, apart from the model that came from the registry and that the next version is stored from:
///
/// - What may be trained is copied as it is, and bring_back() copies it back. What is frozen never comes back, so its
///   bits, and with them its objects in the registry, stay.
/// - With `bfloat16`, frozen matrices are there as bfloat16 only (make_matrices_bfloat16()): half the memory, and no
///   conversion in every step. Nothing frozen has a gradient or optimiser state.
///
/// Hooks and lists of trained parameters belong to the copy: make them from model() with the same filter.
class TrainingCopy {
 public:
  /// `home` lies on the CPU and outlives the copy. `may_be_trained` decides as said, asked once for every parameter of
  /// `home`; frozen modules are left out whatever it says.
  TrainingCopy(Model& home, at::Device device, bool bfloat16, const TrainFilter& may_be_trained);

  Model& model() { return apart_ ? copy_ : home_; }

  /// Copies what may be trained into `home`.
  void bring_back();

 private:
  Model& home_;
  Model copy_;
  bool apart_;
  std::vector<std::pair<at::Tensor, at::Tensor>> trained_;  ///< In `home_` and in the copy.
};

}  // namespace mformer
