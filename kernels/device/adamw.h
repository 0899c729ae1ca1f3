#pragma once

#include <vector>

#include "kernels/adamw.h"

namespace mformer::kernels::device {

/// kernels/adamw.h in LibTorch's operations on lists of tensors, arguments already checked; some tensors at a time, so
/// that temporary memory is bounded: twice the largest tensor, or 128 MiB.
void adamw_step(const std::vector<AdamWTensor>& tensors, const AdamWStep& step);

/// Of defined tensors on one device. Squares are summed in float64; one number comes back to the host.
double gradient_norm(const std::vector<at::Tensor>& gradients);

}  // namespace mformer::kernels::device
