#include "kernels/device/operations.h"

#include "kernels/device/fused.h"
#include "kernels/device/kernel_switch.h"
#include "kernels/device/module_dispatch.h"
#include "kernels/device/row_kernels.h"
#include "kernels/device/softmax_top_k.h"
#include "kernels/device/stick_breaking_attention.h"

namespace mformer::kernels::device {

at::Tensor stick_breaking_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const at::Tensor& key_mask) {
  return fused::takes_attention(query) && uses_kernel(Kernel::attention_forward, query.device())
             ? fused::stick_breaking_forward(query, key, value, key_mask)
             : composite::stick_breaking_forward(query, key, value, key_mask);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> stick_breaking_backward(const at::Tensor& grad_output,
                                                                       const at::Tensor& query, const at::Tensor& key,
                                                                       const at::Tensor& value,
                                                                       const at::Tensor& key_mask) {
  return fused::takes_attention(query) && uses_kernel(Kernel::attention_backward, query.device())
             ? fused::stick_breaking_backward(grad_output, query, key, value, key_mask)
             : composite::stick_breaking_backward(grad_output, query, key, value, key_mask);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_top_k(const at::Tensor& logits, std::int64_t k,
                                                             ChoiceForm form) {
  return fused::takes_router(logits) && uses_kernel(Kernel::router, logits.device())
             ? fused::softmax_top_k(logits, k, form)
             : composite::softmax_top_k(logits, k, form);
}

at::Tensor softmax_top_k_backward(const at::Tensor& p, const at::Tensor& modules, const at::Tensor& unit_gates,
                                  const at::Tensor& grad_p, const at::Tensor& grad_gates) {
  return fused::takes_router(p) && uses_kernel(Kernel::router, p.device())
             ? fused::softmax_top_k_backward(p, modules, unit_gates, grad_p, grad_gates)
             : composite::softmax_top_k_backward(p, modules, unit_gates, grad_p, grad_gates);
}

std::pair<at::Tensor, at::Tensor> rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return fused::takes_rows(x) && uses_kernel(Kernel::rms_norm, x.device()) ? fused::rms_norm(x, weight, epsilon)
                                                                           : composite::rms_norm(x, weight, epsilon);
}

std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& grad, const at::Tensor& x,
                                                    const at::Tensor& weight, const at::Tensor& scale) {
  return fused::takes_rows(x) && uses_kernel(Kernel::rms_norm, x.device())
             ? fused::rms_norm_backward(grad, x, weight, scale)
             : composite::rms_norm_backward(grad, x, weight, scale);
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  return fused::takes_rows(x) && uses_kernel(Kernel::rotary, x.device()) ? fused::rotate(x, cos, sin, inverse)
                                                                         : composite::rotate(x, cos, sin, inverse);
}

at::Tensor gated_activation(const at::Tensor& x, Activation activation) {
  return fused::takes_rows(x) && uses_kernel(Kernel::gated_activation, x.device())
             ? fused::gated_activation(x, activation)
             : composite::gated_activation(x, activation);
}

at::Tensor gated_activation_backward(const at::Tensor& grad, const at::Tensor& x, Activation activation) {
  return fused::takes_rows(x) && uses_kernel(Kernel::gated_activation, x.device())
             ? fused::gated_activation_backward(grad, x, activation)
             : composite::gated_activation_backward(grad, x, activation);
}

ModuleDispatch plan_dispatch(const at::Tensor& chosen, std::int64_t modules) {
  return fused::takes_plan(modules) && uses_kernel(Kernel::plan, chosen.device())
             ? fused::plan_dispatch(chosen, modules)
             : composite::plan_dispatch(chosen, modules);
}

at::Tensor gather_tokens(const at::Tensor& x, const at::Tensor& slot_of_row, std::int64_t k) {
  return uses_kernel(Kernel::gather, x.device()) ? fused::gather_tokens(x, slot_of_row, k)
                                                 : composite::gather_tokens(x, slot_of_row, k);
}

at::Tensor sum_slots(const at::Tensor& rows, const at::Tensor& row_of_slot, std::int64_t k, const at::Tensor& gates) {
  return fused::takes_combine(rows) && uses_kernel(Kernel::combine, rows.device())
             ? fused::sum_slots(rows, row_of_slot, k, gates)
             : composite::sum_slots(rows, row_of_slot, k, gates);
}

std::pair<at::Tensor, at::Tensor> sum_slots_backward(const at::Tensor& grad, const at::Tensor& rows,
                                                     const at::Tensor& row_of_slot, std::int64_t k,
                                                     const at::Tensor& gates) {
  return fused::takes_combine(rows) && uses_kernel(Kernel::combine, rows.device())
             ? fused::sum_slots_backward(grad, rows, row_of_slot, k, gates)
             : composite::sum_slots_backward(grad, rows, row_of_slot, k, gates);
}

}  // namespace mformer::kernels::device
