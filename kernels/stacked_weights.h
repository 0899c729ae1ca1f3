#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace mformer::kernels {

// Weights of modules one behind the other in memory: what a grouped matrix product of a GPU reads. A model that keeps
// its frozen modules so there needs no second copy of them for grouped_linear.

/// Copies of `weights` (of equal sizes) on `device` as `dtype`, as slices of one new tensor [modules, …]. No gradients.
std::vector<at::Tensor> side_by_side(at::TensorList weights, at::ScalarType dtype, const at::Device& device);

/// The weights [in, out] as one [modules, in, out] without a copy, where they lie side by side, contiguous, and of one
/// dtype; else an undefined tensor. Not differentiable.
at::Tensor as_one(at::TensorList weights);

}  // namespace mformer::kernels
