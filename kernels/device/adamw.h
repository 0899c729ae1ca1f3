#pragma once

#include <vector>

#include "kernels/adamw.h"

namespace mformer::kernels::device {

/// kernels/adamw.h, arguments already checked: in one pass by our own kernel (fused.h) where it is used, else as below.
void adamw_step(const std::vector<AdamWTensor>& tensors, const AdamWStep& step);

/// In LibTorch's operations on lists of tensors; some tensors at a time, so that temporary memory is bounded: twice the
/// largest tensor, or 128 MiB.
namespace composite {
void adamw_step(const std::vector<AdamWTensor>& tensors, const AdamWStep& step);
}  // namespace composite

/// Of defined tensors on one device. Squares are summed in float64; one number comes back to the host.
double gradient_norm(const std::vector<at::Tensor>& gradients);

}  // namespace mformer::kernels::device
