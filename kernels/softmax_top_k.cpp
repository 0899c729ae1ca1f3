#include "kernels/softmax_top_k.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "kernels/cpu/tasks.h"
#include "kernels/device/operations.h"
#include "kernels/row_steps.h"

namespace mformer::kernels {
namespace {

constexpr int64_t kRowsPerTask = 64;

/// Calls body(row) for all rows, some dozens a task.
template <typename Body>
void for_each_token(int64_t rows, int64_t width, const Body& body) {
  const int64_t tasks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  cpu::for_each_task(tasks, 8 * rows * width, [&](int64_t task) {
    for (int64_t r = task * kRowsPerTask; r < std::min(rows, (task + 1) * kRowsPerTask); ++r) body(r);
  });
}

/// dlogits = p · (dp − Σ p · dp), where dp already holds the gradient of the gates in their places.
void softmax_backward(const at::Tensor& p, at::Tensor& dp) {
  const int64_t rows = p.size(0), width = p.size(1);
  AT_DISPATCH_FLOATING_TYPES(p.scalar_type(), "softmax_backward", [&] {
    const auto* probability = p.const_data_ptr<scalar_t>();
    auto* gradient = dp.mutable_data_ptr<scalar_t>();
    for_each_token(rows, width, [&](int64_t r) {
      const scalar_t* x = probability + r * width;
      scalar_t* d = gradient + r * width;
      scalar_t sum = 0;
      for (int64_t m = 0; m < width; ++m) sum += x[m] * d[m];
      for (int64_t m = 0; m < width; ++m) d[m] = x[m] * (d[m] - sum);
    });
  });
}

class SoftmaxTopK : public torch::autograd::Function<SoftmaxTopK> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                                                int64_t k, ChoiceForm form) {
    at::Tensor p, gates, modules;
    if (logits.device().is_cpu() && logits.scalar_type() == at::kFloat) {
      p = logits.clone();
      const Choice choice = choose(p, k, form);
      gates = choice.gates;
      modules = choice.modules;
    } else {
      std::tie(p, gates, modules) = device::softmax_top_k(logits, k, form);
    }
    context->save_for_backward({p, modules, form.sums_to_one() ? gates : at::Tensor()});
    context->mark_non_differentiable({modules});
    return {p, gates, modules};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &p = saved[0], &modules = saved[1], &unit_gates = saved[2];
    if (!p.device().is_cpu()) {
      return {device::softmax_top_k_backward(p, modules, unit_gates, grads[0], grads[1]), at::Tensor(), at::Tensor()};
    }
    at::Tensor dp = grads[0].defined() ? grads[0].clone(at::MemoryFormat::Contiguous) : at::zeros_like(p);
    if (grads[1].defined() && !unit_gates.defined()) dp.scatter_add_(1, modules, grads[1]);
    softmax_backward(p, dp);
    if (grads[1].defined() && unit_gates.defined()) {
      // The gates are a softmax of their own.
      at::Tensor dgates = grads[1].clone(at::MemoryFormat::Contiguous);
      softmax_backward(unit_gates, dgates);
      dp.scatter_add_(1, modules, dgates);
    }
    return {dp, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_top_k(const at::Tensor& logits, int64_t k, ChoiceForm form) {
  TORCH_CHECK(logits.dim() == 2, "logits must be [tokens, modules], got ", logits.sizes());
  TORCH_CHECK(logits.scalar_type() == at::kFloat || logits.scalar_type() == at::kDouble,
              "logits must be float32 or float64, got ", logits.scalar_type());
  TORCH_CHECK(k >= 1 && k <= logits.size(1), "k must be between 1 and ", logits.size(1), ", got ", k);
  const auto all = SoftmaxTopK::apply(logits.contiguous(), k, form);
  return {all[0], all[1], all[2]};
}

}  // namespace mformer::kernels
