#include "core/model/distillation.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/linear.h"
#include "kernels/linear_cross_entropy.h"
#include "kernels/quantised_blocks.h"
#include "modules_registry/error.h"

namespace mformer {
namespace {

/// Logits of one model at a time: 16 MB of float32.
constexpr std::int64_t kLogitsPerChunk = 4'000'000;

std::int64_t tokens_per_chunk(std::int64_t vocab) {
  return std::clamp<std::int64_t>(kLogitsPerChunk / vocab, 16, 512);
}

at::ScalarType softmax_dtype(const at::Tensor& head) {
  return head.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// log softmax(rows · headᵀ / T), [tokens, vocab].
at::Tensor log_probabilities(const at::Tensor& rows, const at::Tensor& head, double temperature) {
  const at::Tensor logits = kernels::linear(rows.to(head.scalar_type()), head).to(softmax_dtype(head));
  return at::log_softmax(logits.div_(temperature), -1);
}

/// Gradients are made along with the loss, chunk by chunk: no chunk's logits outlive it.
class Distillation : public torch::autograd::Function<Distillation> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& rows, const at::Tensor& head,
                            const at::Tensor& teacher_rows, const at::Tensor& teacher_head, double temperature,
                            std::int64_t divisor, bool rows_grad, bool head_grad) {
    const std::int64_t tokens = rows.size(0), step = tokens_per_chunk(head.size(0));
    const at::ScalarType dtype = head.scalar_type();
    at::Tensor sum = at::zeros({}, rows.options().dtype(at::kDouble));
    at::Tensor d_rows = rows_grad ? at::empty_like(rows) : at::Tensor();
    at::Tensor d_head = head_grad ? at::zeros(head.sizes(), head.options().dtype(softmax_dtype(head))) : at::Tensor();
    const at::Tensor head_columns = rows_grad ? head.t().contiguous() : at::Tensor();
    for (std::int64_t first = 0; first < tokens; first += step) {
      const std::int64_t count = std::min(step, tokens - first);
      const at::Tensor x = rows.narrow(0, first, count);
      const at::Tensor of_teacher = log_probabilities(teacher_rows.narrow(0, first, count), teacher_head, temperature);
      const at::Tensor of_student = log_probabilities(x, head, temperature);
      const at::Tensor p = of_teacher.exp();
      // Row by row, then few numbers: no sum is split among threads.
      sum += (p * (of_teacher - of_student)).sum(-1).sum(at::kDouble);
      // d(T² KL)/d logits = T (q − p), over the divisor.
      const at::Tensor dz = (of_student.exp() - p).mul_(temperature / static_cast<double>(divisor)).to(dtype);
      if (rows_grad) d_rows.narrow(0, first, count).copy_(kernels::linear(dz, head_columns));
      if (head_grad) d_head += kernels::linear(dz.t().contiguous(), x.to(dtype).t().contiguous());
    }
    context->save_for_backward({d_rows, d_head});
    context->saved_data["head_dtype"] = static_cast<std::int64_t>(dtype);
    const at::Tensor mean = sum / static_cast<double>(divisor);
    return (mean * (temperature * temperature)).to(softmax_dtype(head));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const double upstream = grads[0].item<double>();
    const auto times_upstream = [&](const at::Tensor& x) { return x.defined() ? x * upstream : x; };
    at::Tensor d_head = times_upstream(saved[1]);
    if (d_head.defined()) d_head = d_head.to(static_cast<at::ScalarType>(context->saved_data["head_dtype"].toInt()));
    return {times_upstream(saved[0]), d_head, {}, {}, {}, {}, {}, {}};
  }
};

/// The rows of [batch, tokens, width] at these positions of the flattened batch.
at::Tensor rows_at(const Model& model, const at::Tensor& hidden, const at::Tensor& positions) {
  const at::Tensor rows = hidden.reshape({-1, hidden.size(-1)}).index_select(0, positions);
  const double divisor = model.config.form.logit_divisor;
  return divisor == 1 ? rows : rows / divisor;
}

/// The logits of a distribution are never rounded to bfloat16, whatever the head is kept in.
at::Tensor head_of(const Model& model) {
  if (kernels::is_blocks(model.lm_head)) {
    return kernels::dequantize_blocks(model.lm_head, model.config.n_embd, model.ln_f.weight.scalar_type());
  }
  return model.bfloat16_matrices ? model.lm_head.to(at::kFloat) : model.lm_head;
}

}  // namespace

at::Tensor distillation_loss(const Model& student, const at::Tensor& hidden, const Model& teacher,
                             const at::Tensor& teacher_hidden, const at::Tensor& targets, double temperature,
                             std::int64_t divisor) {
  if (student.lm_head.size(0) != teacher.lm_head.size(0)) {
    throw Error("the teacher has " + std::to_string(teacher.lm_head.size(0)) + " tokens, the student " +
                    std::to_string(student.lm_head.size(0)),
                "a teacher needs the same tokenizer");
  }
  const at::Tensor counted = targets.flatten().ne(kernels::kIgnoredTarget).nonzero().squeeze(1).to(hidden.device());
  const at::Tensor rows = rows_at(student, hidden, counted);
  const bool gradients = at::GradMode::is_enabled();
  const at::Tensor head = head_of(student);
  return Distillation::apply(rows, head, rows_at(teacher, teacher_hidden, counted).detach(), head_of(teacher).detach(),
                             temperature, divisor, gradients && rows.requires_grad(),
                             gradients && head.requires_grad());
}

}  // namespace mformer
