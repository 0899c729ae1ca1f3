#include "kernels/softmax_attention.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "kernels/attention_inputs.h"
#include "kernels/cpu/softmax_attention.h"
#include "kernels/device/softmax_attention.h"

namespace mformer::kernels {
namespace {

/// Of the call, beside its tensors.
struct SoftmaxOptions {
  double scale;
  int64_t window;
};

class SoftmaxAttention : public torch::autograd::Function<SoftmaxAttention> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query, const at::Tensor& key,
                            const at::Tensor& value, const std::optional<at::Tensor>& key_mask,
                            SoftmaxOptions options) {
    const at::Tensor mask = key_mask.value_or(at::Tensor());
    const auto [output, unit] =
        query.device().is_cpu()
            ? cpu::softmax_attention_forward(query, key, value, mask, options.scale, options.window)
            : std::pair(device::composite::softmax_attention(query, key, value, mask, options.scale, options.window),
                        at::Tensor());
    // Elsewhere than on the CPU gradients need no output.
    context->save_for_backward({query, key, value, mask, unit.defined() ? output : at::Tensor(), unit});
    context->saved_data["scale"] = options.scale;
    context->saved_data["window"] = options.window;
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const double scale = context->saved_data["scale"].toDouble();
    const int64_t window = context->saved_data["window"].toInt();
    const auto [dq, dk, dv] = saved[0].device().is_cpu()
                                  ? cpu::softmax_attention_backward(grads[0], saved[0], saved[1], saved[2], saved[3],
                                                                    saved[4], saved[5], scale, window)
                                  : device::composite::softmax_attention_backward(grads[0], saved[0], saved[1],
                                                                                  saved[2], saved[3], scale, window);
    return {dq, dk, dv, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor softmax_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                             const std::optional<at::Tensor>& key_mask, double scale, std::int64_t window) {
  std::optional<at::Tensor> mask;  // an undefined tensor is no legal argument of apply()
  if (key_mask.has_value()) mask = key_mask->contiguous();
  check_attention_inputs(query, key, value, mask);
  TORCH_CHECK(std::isfinite(scale), "scale must be finite, got ", scale);
  TORCH_CHECK(window >= 0, "window must be at least 0, got ", window);
  if (!at::GradMode::is_enabled() && query.device().is_cpu()) {
    return cpu::softmax_attention(query, key, value, mask.value_or(at::Tensor()), scale, window);
  }
  return SoftmaxAttention::apply(query, key, value, mask, SoftmaxOptions{scale, window});
}

}  // namespace mformer::kernels
