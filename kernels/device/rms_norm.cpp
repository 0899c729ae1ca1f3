#include <ATen/TensorOperators.h>
#include <ATen/ops/rsqrt.h>

#include "kernels/device/row_kernels.h"

namespace mformer::kernels::device::composite {

std::pair<at::Tensor, at::Tensor> rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const at::Tensor wide = x.to(weight.scalar_type());
  const at::Tensor scale = at::rsqrt(wide.square().mean({1}, /*keepdim=*/true).add_(epsilon));
  return {(wide * scale).mul_(weight).to(x.scalar_type()), scale.squeeze(1)};
}

std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& grad, const at::Tensor& x,
                                                    const at::Tensor& weight, const at::Tensor& scale) {
  const at::Tensor dy = grad.to(weight.scalar_type()), s = scale.unsqueeze(1);
  const at::Tensor unit = x.to(weight.scalar_type()) * s, g = dy * weight;
  const at::Tensor share = (g * unit).mean({1}, /*keepdim=*/true);
  return {(g - unit * share).mul_(s).to(x.scalar_type()), (dy * unit).sum(0)};
}

}  // namespace mformer::kernels::device::composite
