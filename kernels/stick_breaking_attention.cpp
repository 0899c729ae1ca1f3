#include "kernels/stick_breaking_attention.h"

#include <torch/csrc/autograd/custom_function.h>

#include "kernels/attention_inputs.h"
#include "kernels/cpu/stick_breaking_attention.h"
#include "kernels/device/operations.h"

namespace mformer::kernels {
namespace {

class StickBreaking : public torch::autograd::Function<StickBreaking> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query, const at::Tensor& key,
                            const at::Tensor& value, const std::optional<at::Tensor>& key_mask) {
    const at::Tensor mask = key_mask.value_or(at::Tensor());
    context->save_for_backward({query, key, value, mask});
    return query.device().is_cpu() ? cpu::stick_breaking_forward(query, key, value, mask)
                                   : device::stick_breaking_forward(query, key, value, mask);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto [dq, dk, dv] = saved[0].device().is_cpu()
                                  ? cpu::stick_breaking_backward(grads[0], saved[0], saved[1], saved[2], saved[3])
                                  : device::stick_breaking_backward(grads[0], saved[0], saved[1], saved[2], saved[3]);
    return {dq, dk, dv, at::Tensor()};
  }
};

}  // namespace

at::Tensor stick_breaking_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                    const std::optional<at::Tensor>& key_mask) {
  std::optional<at::Tensor> mask;  // an undefined tensor is no legal argument of apply()
  if (key_mask.has_value()) mask = key_mask->contiguous();
  check_attention_inputs(query, key, value, mask);
  return StickBreaking::apply(query, key, value, mask);
}

}  // namespace mformer::kernels
