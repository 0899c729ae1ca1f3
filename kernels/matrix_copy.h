#pragma once

#include <ATen/core/Tensor.h>

namespace mformer::kernels {

/// As to.copy_(from): equal sizes, any types, any strides; neither needs a gradient and they do not overlap. Many times
/// as fast where both are matrices of one type on the CPU and rows of the one are columns of the other. One thread.
void copy_matrix(const at::Tensor& to, const at::Tensor& from);

/// The same numbers in a tensor of this type that is contiguous and shares memory with no other but `from`, which it is
/// where nothing has to be done.
at::Tensor contiguous_as(const at::Tensor& from, at::ScalarType type);

}  // namespace mformer::kernels
