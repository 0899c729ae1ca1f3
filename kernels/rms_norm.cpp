#include "kernels/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rsqrt.h>

#include <cmath>

namespace mformer::kernels {
namespace {

void check_rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) >= 1 && x.is_floating_point(), "x must be floating-point [..., width], got ",
              x.scalar_type(), " ", x.sizes());
  TORCH_CHECK(weight.dim() == 1 && weight.size(0) == x.size(-1) && weight.is_floating_point(),
              "weight must be floating-point [", x.size(-1), "], got ", weight.scalar_type(), " ", weight.sizes());
  TORCH_CHECK(weight.device() == x.device(), "x is on ", x.device(), ", weight on ", weight.device());
  TORCH_CHECK(std::isfinite(epsilon) && epsilon >= 0, "epsilon must be at least 0, got ", epsilon);
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  check_rms_norm(x, weight, epsilon);
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor values = x.to(wide);
  const at::Tensor scale = at::rsqrt((values * values).mean({-1}, /*keepdim=*/true) + epsilon);
  return (values * scale * weight.to(wide)).to(x.scalar_type());
}

}  // namespace mformer::kernels
