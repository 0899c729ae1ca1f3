#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>

#include "kernels/device/row_kernels.h"

namespace mformer::kernels::device::composite {

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  const auto wide = at::toOpMathType(x.scalar_type());
  const std::int64_t half = x.size(3) / 2;
  const at::Tensor c = cos.to(wide).unsqueeze(1), s = (inverse ? -sin : sin).to(wide).unsqueeze(1);
  const at::Tensor a = x.narrow(3, 0, half).to(wide), b = x.narrow(3, half, half).to(wide);
  at::Tensor y = at::empty_like(x, at::MemoryFormat::Contiguous);
  y.narrow(3, 0, half).copy_((a * c).sub_(b * s));
  y.narrow(3, half, half).copy_((b * c).add_(a * s));
  return y;
}

}  // namespace mformer::kernels::device::composite
