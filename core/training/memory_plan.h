#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/model/model.h"
#include "core/training/trainable.h"
#include "core/training/trainer.h"

namespace mformer {

/// What a training will hold in the memory of its device, in bytes: from shapes alone, nothing is allocated.
///
/// Exact, as tensors have sizes: weights, gradients, optimiser. An estimate: activations, what autograd keeps of the
/// forward pass for the backward pass, and working memory, the largest of what comes and goes. Neither allocators' own
/// needs (rounding, fragmentation, LibTorch's and the driver's fixed 0.5 to 1 GB on a GPU) nor the evaluations before
/// and after are in it; those take `evaluation` of weights alone, when the training is not there.
///
/// With T = batch · context tokens, D = n_embd, G = gating_size, H = att_hidden, F = ffd_hidden, a bank's N modules of
/// which k are chosen, and e = 2 bytes a number in products with bfloat16, else 4, a layer keeps
///     of each bank      T · (8 D + [e < 4] c e D + r G + 4 N (2 + [balance]) + 28 k),  the norm's input and output
///                       (c conversions: 3 before attention with projections, else 1), the router's hidden layer (r = 8
///                       for mlp, 12 for gmm, else 0), logits, distribution and choice,
///     of attention      T · e · (2 k D + 2 k H + 2 H),  rows in and out of the modules, queries, keys, values, result,
///     of feed-forward   T · e · (2 k D + 2 k F),
/// and the end T · (8 D + e D). Layers before the first that is trained keep only what the router chose. Working memory
/// is the largest of: a block of logits with its gradient, attention's block of scores, one layer's gradients, the
/// optimiser's temporaries, as LibTorch's operations on a device take them. These do not quite meet at their largest,
/// so that the sum is above the peak: by up to 40 % with small batches, where working memory is most of it, in tests.
struct MemoryPlan {
  at::Device device = at::kCPU;
  std::int64_t trained_weights = 0;  ///< With whatever may become trained: TrainingCopy's filter.
  std::int64_t frozen_weights = 0;   ///< bfloat16 matrices where TrainingCopy makes them so.
  std::int64_t packed_weights = 0;   ///< On the CPU: frozen modules, made ready for products (kernels/frozen_panels.h).
  std::int64_t base_weights = 0;     ///< On the CPU: the version trained from, which stays for the comparison after it.
  std::int64_t teacher_weights = 0;  ///< Of distillation; on the CPU, where it mostly is the base, its packed modules.
  std::int64_t gradients = 0;
  std::int64_t optimizer = 0;
  std::int64_t best_weights = 0;  ///< Of --keep-best; on the CPU, where they are kept whatever the device.
  std::int64_t activations = 0;
  std::int64_t logits = 0;  ///< The block of logits, which is part of `working`.
  std::int64_t working = 0;
  std::int64_t evaluation = 0;  ///< Weights as evaluation has them, never reduced.

  /// All of a training.
  std::int64_t total() const {
    return trained_weights + frozen_weights + packed_weights + base_weights + teacher_weights + gradients + optimizer +
           best_weights + activations + working;
  }
};

/// What is planned.
struct PlannedTraining {
  Model& model;         ///< Its parameters that require gradients are trained; the others are frozen.
  StepOptions options;  ///< Batch, context and --bf16 count.
  at::Device device = at::kCPU;
  bool balance = false;            ///< Whether the balance loss is part of the total.
  const Model* teacher = nullptr;  ///< Of distillation; may share the model's tensors on the CPU.
  bool keep_best = false;
};

MemoryPlan plan_memory(const PlannedTraining& training);

}  // namespace mformer
