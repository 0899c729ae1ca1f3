#include "kernels/device/grouped_linear.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include "kernels/device/products.h"

namespace mformer::kernels::device {

at::Tensor grouped_product(const at::Tensor& x, const std::vector<std::int64_t>& offset, at::TensorList weights,
                           bool transposed) {
  at::Tensor y = at::empty({x.size(0), weights[0].size(transposed ? 0 : 1)}, x.options());
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const std::int64_t first = offset[m], rows = offset[m + 1] - first;
    if (rows == 0) continue;
    at::Tensor part = y.narrow(0, first, rows);
    const at::Tensor weight = weights[m].detach().to(x.scalar_type());
    at::mm_out(part, x.narrow(0, first, rows), transposed ? weight.t() : weight);
  }
  return y;
}

std::vector<at::Tensor> grouped_weight_gradients(const at::Tensor& x, const at::Tensor& grad,
                                                 const std::vector<std::int64_t>& offset, at::TensorList weights) {
  std::vector<at::Tensor> result(weights.size());
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const std::int64_t first = offset[m], rows = offset[m + 1] - first;
    if (rows == 0 || !weights[m].requires_grad()) continue;
    result[m] = wide_mm(x.narrow(0, first, rows).t(), grad.narrow(0, first, rows)).to(weights[m].scalar_type());
  }
  return result;
}

}  // namespace mformer::kernels::device
