#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "kernels/device/fused.h"
#include "kernels/device/start.h"

namespace mformer::kernels::device::fused {

bool takes_rows(const at::Tensor& x) {
  return x.numel() > 0 && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

std::pair<at::Tensor, at::Tensor> rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const at::Tensor y = at::empty_like(x), scale = at::empty({x.size(0)}, weight.options());
  start(x, cuda::RmsNorm{dtype_of(x), x.size(0), x.size(1), static_cast<float>(epsilon), x.const_data_ptr(),
                         weight.const_data_ptr<float>(), y.mutable_data_ptr(), scale.mutable_data_ptr<float>()});
  return {y, scale};
}

std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& grad, const at::Tensor& x,
                                                    const at::Tensor& weight, const at::Tensor& scale) {
  const at::Tensor grad_x = at::empty_like(x), grad_weight = at::empty_like(weight);
  cuda::RmsNormBackward problem{dtype_of(x),
                                x.size(0),
                                x.size(1),
                                grad.const_data_ptr(),
                                x.const_data_ptr(),
                                weight.const_data_ptr<float>(),
                                scale.const_data_ptr<float>(),
                                grad_x.mutable_data_ptr()};
  const at::Tensor sums = at::empty({problem.pieces(), x.size(1)}, weight.options());
  problem.sums = sums.mutable_data_ptr<float>();
  problem.grad_weight = grad_weight.mutable_data_ptr<float>();
  start(x, problem);
  return {grad_x, grad_weight};
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  const at::Tensor y = at::empty_like(x);
  start(x, cuda::Rotation{dtype_of(x), x.size(0) * x.size(1), x.size(1), x.size(2), x.size(3) / 2, x.const_data_ptr(),
                          cos.const_data_ptr<float>(), sin.const_data_ptr<float>(), inverse, y.mutable_data_ptr()});
  return y;
}

at::Tensor gated_activation(const at::Tensor& x, Activation activation) {
  const std::int64_t hidden = x.size(1) / 2;
  const at::Tensor y = at::empty({x.size(0), hidden}, x.options());
  start(x, cuda::Gated{dtype_of(x), activation, x.size(0), hidden, x.const_data_ptr(), y.mutable_data_ptr()});
  return y;
}

at::Tensor gated_activation_backward(const at::Tensor& grad, const at::Tensor& x, Activation activation) {
  const at::Tensor grad_x = at::empty_like(x);
  start(x, cuda::GatedBackward{dtype_of(x), activation, x.size(0), x.size(1) / 2, grad.const_data_ptr(),
                               x.const_data_ptr(), grad_x.mutable_data_ptr()});
  return grad_x;
}

}  // namespace mformer::kernels::device::fused
