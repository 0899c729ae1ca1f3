#include "kernels/stacked_weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

namespace mformer::kernels {

std::vector<at::Tensor> side_by_side(at::TensorList weights, at::ScalarType dtype, const at::Device& device) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> slices;
  if (weights.empty()) return slices;
  auto sizes = weights[0].sizes().vec();
  sizes.insert(sizes.begin(), static_cast<int64_t>(weights.size()));
  const at::Tensor room = at::empty(sizes, at::TensorOptions(dtype).device(device));
  for (std::size_t m = 0; m < weights.size(); ++m) {
    TORCH_CHECK(weights[m].sizes() == weights[0].sizes(), "weights[", m, "] must be ", weights[0].sizes(), ", got ",
                weights[m].sizes());
    slices.push_back(room.select(0, static_cast<int64_t>(m)).copy_(weights[m]));
  }
  return slices;
}

at::Tensor as_one(at::TensorList weights) {
  if (weights.empty()) return {};
  const at::Tensor& first = weights[0];
  const int64_t step = first.numel();
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const at::Tensor& weight = weights[m];
    const bool follows = weight.is_contiguous() && weight.sizes() == first.sizes() && weight.dtype() == first.dtype() &&
                         weight.storage().is_alias_of(first.storage()) &&
                         weight.storage_offset() == first.storage_offset() + static_cast<int64_t>(m) * step;
    if (!follows || weight.dim() != 2) return {};
  }
  return first.detach().as_strided({static_cast<int64_t>(weights.size()), first.size(0), first.size(1)},
                                   {step, first.size(1), 1}, first.storage_offset());
}

}  // namespace mformer::kernels
