#include "kernels/device/grouped_linear.h"

#include <ATen/OpMathType.h>
#include <ATen/ops/_grouped_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "kernels/device/kernel_switch.h"
#include "kernels/device/products.h"
#include "kernels/stacked_weights.h"

namespace mformer::kernels::device {

namespace {

/// Modules [first, end), which are all frozen or all not.
struct Run {
  std::size_t first, end;
};

std::vector<Run> runs_of(at::TensorList weights) {
  std::vector<Run> runs;
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const bool begins = m == 0 || weights[m].requires_grad() != weights[m - 1].requires_grad();
    if (begins) runs.push_back({m, m});
    runs.back().end = m + 1;
  }
  return runs;
}

/// The run's weights as one tensor, or an undefined one where that costs more than it saves: a copy of all for few.
at::Tensor stack_of(const std::vector<std::int64_t>& offset, at::TensorList weights, const Run& run,
                    at::ScalarType dtype, const c10::intrusive_ptr<FrozenPanels>& frozen) {
  const at::TensorList part = weights.slice(run.first, run.end - run.first);
  if (frozen && !part[0].requires_grad()) return frozen->stacked(part, dtype);
  const at::Tensor in_place = as_one(part);
  if (in_place.defined() && in_place.scalar_type() == dtype) return in_place;
  std::size_t used = 0;
  for (std::size_t m = run.first; m < run.end; ++m) used += offset[m + 1] > offset[m] ? 1 : 0;
  if (2 * used < part.size()) return {};
  return as_one(side_by_side(part, dtype, part[0].device()));
}

}  // namespace

bool fits_grouped_product(const at::Tensor& x, const at::Tensor& weight) {
  constexpr std::int64_t kWhole = 8;
  return x.scalar_type() == at::kBFloat16 && weight.size(0) % kWhole == 0 && weight.size(1) % kWhole == 0;
}

at::Tensor products_one_by_one(const at::Tensor& x, const std::vector<std::int64_t>& offset, at::TensorList weights,
                               bool transposed) {
  at::Tensor y = at::empty({x.size(0), weights[0].size(transposed ? 0 : 1)}, x.options());
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const std::int64_t first = offset[m] - offset[0], rows = offset[m + 1] - offset[m];
    if (rows == 0) continue;
    at::Tensor part = y.narrow(0, first, rows);
    const at::Tensor weight = weights[m].detach().to(x.scalar_type());
    at::mm_out(part, x.narrow(0, first, rows), transposed ? weight.t() : weight);
  }
  return y;
}

at::Tensor stacked_product(const at::Tensor& x, const std::vector<std::int64_t>& offset, const at::Tensor& stack,
                           bool transposed) {
  std::vector<std::int32_t> ends;
  for (std::size_t m = 1; m < offset.size(); ++m) ends.push_back(static_cast<std::int32_t>(offset[m] - offset[0]));
  return at::_grouped_mm(x, transposed ? stack.transpose(1, 2) : stack,
                         at::tensor(ends, at::TensorOptions(at::kInt)).to(x.device()));
}

at::Tensor grouped_product_sum(const at::Tensor& x, const std::vector<std::int64_t>& offset, at::TensorList weights,
                               bool transposed) {
  at::Tensor sum =
      at::zeros({offset[1], weights[0].size(transposed ? 0 : 1)}, x.options().dtype(at::toOpMathType(x.scalar_type())));
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const at::Tensor weight = weights[m].detach().to(x.scalar_type());
    sum.add_(at::mm(x.narrow(0, offset[m], offset[1]), transposed ? weight.t() : weight));
  }
  return sum.to(x.scalar_type());
}

at::Tensor grouped_product(const at::Tensor& x, const std::vector<std::int64_t>& offset, at::TensorList weights,
                           bool transposed, const c10::intrusive_ptr<FrozenPanels>& frozen) {
  if (x.size(0) != offset.back()) {  // all modules read it
    const auto modules = static_cast<std::int64_t>(weights.size());
    const at::Tensor rows = x.unsqueeze(0).expand({modules, -1, -1}).reshape({offset.back(), x.size(1)});
    return grouped_product(rows, offset, weights, transposed, frozen);
  }
  at::Tensor y = at::empty({x.size(0), weights[0].size(transposed ? 0 : 1)}, x.options());
  for (const Run& run : runs_of(weights)) {
    const std::int64_t first = offset[run.first], rows = offset[run.end] - first;
    if (rows == 0) continue;
    at::Tensor stack;
    if (uses_kernel(Kernel::grouped_product, x.device()) && fits_grouped_product(x, weights[0]))
      stack = stack_of(offset, weights, run, x.scalar_type(), frozen);
    const std::vector<std::int64_t> bounds(offset.begin() + static_cast<std::ptrdiff_t>(run.first),
                                           offset.begin() + static_cast<std::ptrdiff_t>(run.end) + 1);
    const at::Tensor input = x.narrow(0, first, rows);
    const at::Tensor part =
        stack.defined() ? stacked_product(input, bounds, stack, transposed)
                        : products_one_by_one(input, bounds, weights.slice(run.first, run.end - run.first), transposed);
    if (rows == x.size(0)) return part;
    y.narrow(0, first, rows).copy_(part);
  }
  return y;
}

std::vector<at::Tensor> grouped_weight_gradients(const at::Tensor& x, const at::Tensor& grad,
                                                 const std::vector<std::int64_t>& offset, at::TensorList weights) {
  std::vector<at::Tensor> result(weights.size());
  const bool shared_x = x.size(0) != offset.back(), shared_grad = grad.size(0) != offset.back();
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const std::int64_t first = offset[m], rows = offset[m + 1] - first;
    if (rows == 0 || !weights[m].requires_grad()) continue;
    const at::Tensor in = x.narrow(0, shared_x ? 0 : first, rows), out = grad.narrow(0, shared_grad ? 0 : first, rows);
    result[m] = wide_mm(in.t(), out).to(weights[m].scalar_type());
  }
  return result;
}

}  // namespace mformer::kernels::device
