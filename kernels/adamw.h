#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace mformer::kernels {

/// A trained tensor with its state. All contiguous, of one size, and on one device.
struct AdamWTensor {
  at::Tensor weight;    ///< Any floating-point dtype; updated in place.
  at::Tensor gradient;  ///< Of the weight's dtype; undefined = zeros, for which no memory is read.
  /// Running means of the gradient and of its square, float64 for float64 weights and else float32; updated in place.
  at::Tensor exp_avg, exp_avg_sq;
  bool decay = true;  ///< Whether AdamWStep::weight_decay applies.
};

/// What one step is made of; the names are those of the paper.
struct AdamWStep {
  int64_t number = 1;  ///< Counted from 1, for the bias correction.
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  double gradient_scale = 1;  ///< Gradients are multiplied by it as they are read (clipping); they keep their values.
};

/// AdamW (arXiv 1711.05101, algorithm 2) on all tensors in one parallel region:
///     m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,
///     w ← w − lr · decay · w − lr · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε).
/// One pass over memory: 28 bytes a float32 weight, 24 where there is no gradient. Each weight is computed by itself
/// and without contraction to fused multiply-adds: the same bits for every number of threads and vector width. Throws
/// c10::Error naming the tensor's field when shapes, dtypes or layouts do not fit, before anything is changed. On a
/// GPU the same by a kernel of our own, with contraction; elsewhere by LibTorch's operations on lists of tensors: the
/// same formula, several passes.
void adamw_step(const std::vector<AdamWTensor>& tensors, const AdamWStep& step);

/// Euclidean norm of all tensors taken as one vector; undefined ones count as zeros. Squares are summed in float64 over
/// pieces of fixed size, and the pieces in their order: the same bits for every number of threads and vector width, and
/// no overflow. Contiguous tensors on one device, any floating-point dtype; throws c10::Error otherwise.
///
/// Clipping by the norm cannot do without this pass: no weight may move before all gradients are known. So reading the
/// gradients once more, 4 bytes a float32 weight, is the least that it costs.
double gradient_norm(const std::vector<at::Tensor>& gradients);

}  // namespace mformer::kernels
