#include "kernels/device/module_dispatch.h"

#include <ATen/OpMathType.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>

namespace mformer::kernels::device::composite {
namespace {

/// [tokens, k, width]: the rows in slot order, in the dtype of sums.
at::Tensor slots(const at::Tensor& rows, const at::Tensor& row_of_slot, std::int64_t k) {
  const at::Tensor in_order = at::index_select(rows, 0, row_of_slot).to(at::toOpMathType(rows.scalar_type()));
  return in_order.view({row_of_slot.numel() / k, k, rows.size(1)});
}

}  // namespace

ModuleOffsets offsets_of(const at::Tensor& offset, std::int64_t rows) {
  if (!offset.device().is_cpu()) return {offset, rows};
  const auto* first = offset.const_data_ptr<std::int64_t>();
  const std::vector<std::int64_t> all(first, first + offset.numel());
  TORCH_CHECK(all.front() == 0 && all.back() == rows, "chosen holds modules outside of 0 to ", all.size() - 2);
  return all;
}

ModuleDispatch plan_dispatch(const at::Tensor& chosen, std::int64_t modules) {
  const std::int64_t count = chosen.numel();
  const auto [sorted, slot_of_row] = at::sort(chosen.reshape({count}), /*stable=*/std::optional<bool>(true), /*dim=*/0);
  const at::Tensor bounds = at::arange(modules + 1, chosen.options());
  const at::Tensor offset = at::searchsorted(sorted, bounds);  // slots of modules before each
  ModuleDispatch dispatch{chosen.size(1), offsets_of(offset, count), slot_of_row, at::empty_like(slot_of_row)};
  dispatch.row_of_slot.scatter_(0, slot_of_row, at::arange(count, chosen.options()));
  return dispatch;
}

at::Tensor gather_tokens(const at::Tensor& x, const at::Tensor& slot_of_row, std::int64_t k) {
  return at::index_select(x, 0, k == 1 ? slot_of_row : slot_of_row.div(k, "floor"));
}

at::Tensor sum_slots(const at::Tensor& rows, const at::Tensor& row_of_slot, std::int64_t k, const at::Tensor& gates) {
  const at::Tensor all = slots(rows, row_of_slot, k);
  at::Tensor y = at::zeros({all.size(0), rows.size(1)}, all.options());
  for (std::int64_t choice = 0; choice < k; ++choice) {
    const at::Tensor slot = all.select(1, choice);
    gates.defined() ? y.addcmul_(slot, gates.narrow(1, choice, 1).to(all.scalar_type())) : y.add_(slot);
  }
  return y.to(rows.scalar_type());
}

std::pair<at::Tensor, at::Tensor> sum_slots_backward(const at::Tensor& grad, const at::Tensor& rows,
                                                     const at::Tensor& row_of_slot, std::int64_t k,
                                                     const at::Tensor& gates) {
  const at::Tensor all = slots(rows, row_of_slot, k);
  const at::Tensor wide = grad.to(all.scalar_type()).unsqueeze(1);
  const at::Tensor grad_gates = (all * wide).sum(2).to(gates.scalar_type());
  const at::Tensor by_slot = (gates.to(all.scalar_type()).unsqueeze(2) * wide).to(rows.scalar_type());
  at::Tensor grad_rows = at::empty_like(rows, at::MemoryFormat::Contiguous);
  grad_rows.index_copy_(0, row_of_slot, by_slot.view({-1, rows.size(1)}));
  return {grad_rows, grad_gates};
}

}  // namespace mformer::kernels::device::composite
