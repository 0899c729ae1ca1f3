#include "kernels/device/grouped_linear.h"

#include <ATen/OpMathType.h>
#include <ATen/ops/_grouped_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
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
at::Tensor stack_of(std::int64_t rows, at::TensorList weights, at::ScalarType dtype,
                    const c10::intrusive_ptr<FrozenPanels>& frozen) {
  if (frozen && !weights[0].requires_grad()) return frozen->stacked(weights, dtype);
  const at::Tensor in_place = as_one(weights);
  if (in_place.defined() && in_place.scalar_type() == dtype) return in_place;
  if (2 * rows < static_cast<std::int64_t>(weights.size())) return {};
  return as_one(side_by_side(weights, dtype, weights[0].device()));
}

/// Whether at::_grouped_mm multiplies here.
bool by_groups(const at::Tensor& x, const at::Tensor& weight) {
  return uses_kernel(Kernel::grouped_product, x.device()) && fits_grouped_product(x, weight);
}

/// The ends of a run's modules, counted from the run's first row.
at::Tensor ends_of(const ModuleOffsets& offset, const Run& run, const at::Device& device) {
  const at::Tensor ends = offset.ends(device).narrow(0, static_cast<std::int64_t>(run.first),
                                                     static_cast<std::int64_t>(run.end - run.first));
  const std::int64_t before = run.first == 0 ? 0 : offset.on_host()[run.first];
  return before == 0 ? ends : ends - before;
}

/// The product of all modules, or an undefined tensor where it has to be by runs.
at::Tensor product_of_all(const at::Tensor& x, const ModuleOffsets& offset, at::TensorList weights, bool transposed,
                          const c10::intrusive_ptr<FrozenPanels>& frozen) {
  if (!by_groups(x, weights[0]) || runs_of(weights).size() > 1) return {};
  const at::Tensor stack = stack_of(x.size(0), weights, x.scalar_type(), frozen);
  if (!stack.defined() || !begins_at_sixteen_bytes(stack)) return {};
  return stacked_product(x, offset.ends(x.device()), stack, transposed);
}

at::Tensor product_of_run(const at::Tensor& x, const ModuleOffsets& offset, const Run& run, at::TensorList weights,
                          bool transposed, const c10::intrusive_ptr<FrozenPanels>& frozen) {
  const at::TensorList part = weights.slice(run.first, run.end - run.first);
  if (by_groups(x, part[0])) {
    const at::Tensor stack = stack_of(x.size(0), part, x.scalar_type(), frozen);
    if (stack.defined() && begins_at_sixteen_bytes(stack)) {
      return stacked_product(x, ends_of(offset, run, x.device()), stack, transposed);
    }
  }
  const auto begin = offset.on_host().begin();
  const std::vector<std::int64_t> bounds(begin + static_cast<std::ptrdiff_t>(run.first),
                                         begin + static_cast<std::ptrdiff_t>(run.end) + 1);
  return products_one_by_one(x, bounds, part, transposed);
}

}  // namespace

bool fits_grouped_product(const at::Tensor& x, const at::Tensor& weight) {
  constexpr std::int64_t kWhole = 8;
  return x.scalar_type() == at::kBFloat16 && weight.size(0) % kWhole == 0 && weight.size(1) % kWhole == 0 &&
         begins_at_sixteen_bytes(x);
}

bool begins_at_sixteen_bytes(const at::Tensor& x) {
  constexpr std::uintptr_t kBytes = 16;
  return reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % kBytes == 0;
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

at::Tensor stacked_product(const at::Tensor& x, const at::Tensor& ends, const at::Tensor& stack, bool transposed) {
  return at::_grouped_mm(x, transposed ? stack.transpose(1, 2) : stack, ends);
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

at::Tensor grouped_product(const at::Tensor& x, const ModuleOffsets& offset, at::TensorList weights, bool transposed,
                           const c10::intrusive_ptr<FrozenPanels>& frozen) {
  if (x.size(0) != offset.rows()) {  // all modules read it
    const at::Tensor rows = x.unsqueeze(0).expand({offset.modules(), -1, -1}).reshape({offset.rows(), x.size(1)});
    return grouped_product(rows, offset, weights, transposed, frozen);
  }
  at::Tensor y = at::empty({x.size(0), weights[0].size(transposed ? 0 : 1)}, x.options());
  if (x.size(0) == 0) return y;
  const at::Tensor all = product_of_all(x, offset, weights, transposed, frozen);
  if (all.defined()) return all;
  for (const Run& run : runs_of(weights)) {
    const std::int64_t first = offset.on_host()[run.first], rows = offset.on_host()[run.end] - first;
    if (rows == 0) continue;
    const at::Tensor part = product_of_run(x.narrow(0, first, rows), offset, run, weights, transposed, frozen);
    if (rows == x.size(0)) return part;
    y.narrow(0, first, rows).copy_(part);
  }
  return y;
}

at::Tensor stacked_gradients(const at::Tensor& x, const at::Tensor& grad, const at::Tensor& ends) {
  return at::_grouped_mm(x.t(), grad, ends);
}

std::vector<at::Tensor> grouped_weight_gradients(const at::Tensor& x, const at::Tensor& grad,
                                                 const ModuleOffsets& offset, at::TensorList weights) {
  std::vector<at::Tensor> result(weights.size());
  const bool shared_x = x.size(0) != offset.rows(), shared_grad = grad.size(0) != offset.rows();
  const bool all_train = runs_of(weights).size() == 1 && weights[0].requires_grad();
  if (all_train && !shared_x && !shared_grad && x.size(0) > 0 && by_groups(x, weights[0]) &&
      begins_at_sixteen_bytes(grad)) {
    const at::Tensor all = stacked_gradients(x, grad, offset.ends(x.device())).to(weights[0].scalar_type());
    for (std::size_t m = 0; m < weights.size(); ++m) result[m] = all.select(0, static_cast<std::int64_t>(m));
    return result;
  }
  const std::vector<std::int64_t>& bounds = offset.on_host();
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const std::int64_t first = bounds[m], rows = bounds[m + 1] - first;
    if (rows == 0 || !weights[m].requires_grad()) continue;
    const at::Tensor in = x.narrow(0, shared_x ? 0 : first, rows), out = grad.narrow(0, shared_grad ? 0 : first, rows);
    result[m] = wide_mm(in.t(), out).to(weights[m].scalar_type());
  }
  return result;
}

}  // namespace mformer::kernels::device
