#include "kernels/stick_breaking_attention.h"

#include <torch/csrc/autograd/custom_function.h>

#include "kernels/cpu/stick_breaking_attention.h"
#include "kernels/device/operations.h"

namespace mformer::kernels {
namespace {

void check(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
           const std::optional<at::Tensor>& key_mask) {
  TORCH_CHECK(query.dim() == 5, "query must be [batch, tokens, k, heads, head_size], got ", query.sizes());
  TORCH_CHECK(key.dim() == 4, "key must be [batch, keys, heads, head_size], got ", key.sizes());
  TORCH_CHECK(value.sizes() == key.sizes(), "value must have key's sizes ", key.sizes(), ", got ", value.sizes());
  TORCH_CHECK(key.size(0) == query.size(0) && key.size(2) == query.size(3) && key.size(3) == query.size(4), "key ",
              key.sizes(), " does not fit query ", query.sizes());
  TORCH_CHECK(key.size(1) >= query.size(1), "key has ", key.size(1), " positions, fewer than query's ", query.size(1));
  TORCH_CHECK(query.is_floating_point() && key.scalar_type() == query.scalar_type() &&
                  value.scalar_type() == query.scalar_type(),
              "query, key and value must share one floating dtype");
  TORCH_CHECK(key.device() == query.device() && value.device() == query.device(), "query is on ", query.device(),
              ", key on ", key.device(), ", value on ", value.device());
  if (key_mask.has_value()) {
    TORCH_CHECK(key_mask->scalar_type() == at::kBool && key_mask->dim() == 2 && key_mask->size(0) == key.size(0) &&
                    key_mask->size(1) == key.size(1),
                "key_mask must be a bool [batch, keys] = [", key.size(0), ", ", key.size(1), "], got ",
                key_mask->scalar_type(), " ", key_mask->sizes());
    TORCH_CHECK(key_mask->device() == query.device(), "query is on ", query.device(), ", key_mask on ",
                key_mask->device());
  }
}

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
  check(query, key, value, mask);
  return StickBreaking::apply(query, key, value, mask);
}

}  // namespace mformer::kernels
