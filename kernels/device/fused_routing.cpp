#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "kernels/device/fused.h"
#include "kernels/device/module_dispatch.h"
#include "kernels/device/start.h"

namespace mformer::kernels::device::fused {
namespace {

/// Null where there is none. The tensor must outlive it.
const float* floats(const at::Tensor& x) {
  return x.defined() ? x.const_data_ptr<float>() : nullptr;
}

at::Tensor contiguous(const at::Tensor& x) {
  return x.defined() ? x.contiguous() : x;
}

}  // namespace

bool takes_router(const at::Tensor& logits) {
  return logits.scalar_type() == at::kFloat && logits.size(1) <= cuda::kMostModules;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_top_k(const at::Tensor& logits, std::int64_t k,
                                                             ChoiceForm form) {
  const at::Tensor x = logits.contiguous(), p = at::empty_like(x);
  const at::Tensor gates = at::empty({x.size(0), k}, x.options());
  const at::Tensor chosen = at::empty({x.size(0), k}, x.options().dtype(at::kLong));
  start(x,
        cuda::Router{x.size(0), x.size(1), k, floats(x), p.mutable_data_ptr<float>(), gates.mutable_data_ptr<float>(),
                     chosen.mutable_data_ptr<std::int64_t>(), form.top_k_first, form.renormalise});
  return {p, gates, chosen};
}

at::Tensor softmax_top_k_backward(const at::Tensor& p, const at::Tensor& modules, const at::Tensor& unit_gates,
                                  const at::Tensor& grad_p, const at::Tensor& grad_gates) {
  const at::Tensor dp = contiguous(grad_p), dgates = contiguous(grad_gates);
  const at::Tensor grad = at::empty_like(p);
  start(p,
        cuda::RouterBackward{p.size(0), p.size(1), modules.size(1), floats(p), modules.const_data_ptr<std::int64_t>(),
                             floats(dp), floats(dgates), grad.mutable_data_ptr<float>(), floats(unit_gates)});
  return grad;
}

bool takes_plan(std::int64_t modules) {
  return modules <= cuda::kMostModules;
}

ModuleDispatch plan_dispatch(const at::Tensor& chosen, std::int64_t modules) {
  const at::Tensor slots = chosen.contiguous();
  cuda::Plan plan{slots.numel(), modules, slots.const_data_ptr<std::int64_t>()};
  const at::Tensor counts = at::empty({plan.pieces(), modules}, slots.options());
  const at::Tensor offset = at::empty({modules + 1}, slots.options());
  const at::Tensor slot_of_row = at::empty({plan.slots}, slots.options()), row_of_slot = at::empty_like(slot_of_row);
  plan.counts = counts.mutable_data_ptr<std::int64_t>();
  plan.offset = offset.mutable_data_ptr<std::int64_t>();
  plan.slot_of_row = slot_of_row.mutable_data_ptr<std::int64_t>();
  plan.row_of_slot = row_of_slot.mutable_data_ptr<std::int64_t>();
  start(slots, plan);
  return {chosen.size(1), composite::offsets_of(offset, plan.slots), slot_of_row, row_of_slot};
}

at::Tensor gather_tokens(const at::Tensor& x, const at::Tensor& slot_of_row, std::int64_t k) {
  const at::Tensor from = x.contiguous();
  const at::Tensor out = at::empty({slot_of_row.numel(), x.size(1)}, x.options());
  start(from, cuda::Gather{slot_of_row.numel(), k, x.size(1) * static_cast<std::int64_t>(x.element_size()),
                           from.const_data_ptr(), slot_of_row.const_data_ptr<std::int64_t>(), out.mutable_data_ptr()});
  return out;
}

bool takes_combine(const at::Tensor& rows) {
  return rows.scalar_type() == at::kFloat || rows.scalar_type() == at::kBFloat16;
}

at::Tensor sum_slots(const at::Tensor& rows, const at::Tensor& row_of_slot, std::int64_t k, const at::Tensor& gates) {
  const at::Tensor from = rows.contiguous(), factors = contiguous(gates);
  const at::Tensor y = at::empty({row_of_slot.numel() / k, rows.size(1)}, rows.options());
  start(from, cuda::Combine{dtype_of(rows), y.size(0), k, rows.size(1), from.const_data_ptr(),
                            factors.defined() ? factors.const_data_ptr() : nullptr,
                            row_of_slot.const_data_ptr<std::int64_t>(), y.mutable_data_ptr()});
  return y;
}

std::pair<at::Tensor, at::Tensor> sum_slots_backward(const at::Tensor& grad, const at::Tensor& rows,
                                                     const at::Tensor& row_of_slot, std::int64_t k,
                                                     const at::Tensor& gates) {
  const at::Tensor dy = grad.contiguous(), from = rows.contiguous(), factors = gates.contiguous();
  const at::Tensor grad_rows = at::empty_like(from), grad_gates = at::empty_like(factors);
  start(from, cuda::CombineBackward{dtype_of(rows), row_of_slot.numel() / k, k, rows.size(1), dy.const_data_ptr(),
                                    from.const_data_ptr(), factors.const_data_ptr(),
                                    row_of_slot.const_data_ptr<std::int64_t>(), grad_rows.mutable_data_ptr(),
                                    grad_gates.mutable_data_ptr()});
  return {grad_rows, grad_gates};
}

}  // namespace mformer::kernels::device::fused
