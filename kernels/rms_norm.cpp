#include "kernels/rms_norm.h"

#include <ATen/OpMathType.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/tasks.h"
#include "kernels/device/operations.h"

namespace mformer::kernels {
namespace {

void check_rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) >= 1 && x.is_floating_point(), "x must be floating-point [..., width], got ",
              x.scalar_type(), " ", x.sizes());
  TORCH_CHECK(weight.dim() == 1 && weight.size(0) == x.size(-1) && weight.is_floating_point(),
              "weight must be floating-point [", x.size(-1), "], got ", weight.scalar_type(), " ", weight.sizes());
  TORCH_CHECK(weight.device() == x.device(), "x is on ", x.device(), ", weight on ", weight.device());
  TORCH_CHECK(std::isfinite(epsilon) && epsilon >= 0, "epsilon must be at least 0, got ", epsilon);
}

/// Rows whose gradients of the weight are summed one after another: so many that there are at most 64 such sums.
int64_t rows_per_sum(int64_t rows) {
  return std::max<int64_t>(32, (rows + 63) / 64);
}

bool is_fast_norm(const at::Tensor& x) {
  return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

/// visit(a value of x's type) for float32 and bfloat16.
template <typename Visit>
void with_norm_type(const at::Tensor& x, const Visit& visit) {
  x.scalar_type() == at::kFloat ? visit(float{}) : visit(c10::BFloat16{});
}

/// y and the rows' scales, for x [rows, width] and weight float32 (float64 for float64), both contiguous.
std::pair<at::Tensor, at::Tensor> norm_rows(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (!is_fast_norm(x)) return device::rms_norm(x, weight, epsilon);
  const int64_t rows = x.size(0), width = x.size(1);
  at::Tensor y = at::empty_like(x), scale = at::empty({rows}, at::kFloat);
  const auto* w = weight.const_data_ptr<float>();
  auto* scales = scale.mutable_data_ptr<float>();
  with_norm_type(x, [&](auto value) {
    using T = decltype(value);
    const T* from = x.const_data_ptr<T>();
    T* to = y.mutable_data_ptr<T>();
    cpu::for_each_row(rows, width, [&](int64_t r) {
      scales[r] = cpu::rms_norm_row(from + r * width, width, w, static_cast<float>(epsilon), to + r * width);
    });
  });
  return {y, scale};
}

/// The gradients of x and, if asked for, of weight.
std::pair<at::Tensor, at::Tensor> norm_rows_backward(const at::Tensor& grad, const at::Tensor& x,
                                                     const at::Tensor& weight, const at::Tensor& scale,
                                                     bool of_weight) {
  if (!is_fast_norm(x)) return device::rms_norm_backward(grad, x, weight, scale);
  const int64_t rows = x.size(0), width = x.size(1), step = rows_per_sum(rows), sums = (rows + step - 1) / step;
  at::Tensor grad_x = at::empty_like(x);
  at::Tensor partial = of_weight ? at::zeros({sums, width}, at::kFloat) : at::Tensor();
  const auto *w = weight.const_data_ptr<float>(), *scales = scale.const_data_ptr<float>();
  auto* partials = of_weight ? partial.mutable_data_ptr<float>() : nullptr;
  with_norm_type(x, [&](auto value) {
    using T = decltype(value);
    const T *dy = grad.const_data_ptr<T>(), *from = x.const_data_ptr<T>();
    T* dx = grad_x.mutable_data_ptr<T>();
    cpu::for_each_task(sums, 8 * rows * width, [&](int64_t sum) {
      for (int64_t r = sum * step; r < std::min(rows, (sum + 1) * step); ++r) {
        cpu::rms_norm_row_backward(dy + r * width, from + r * width, scales[r], width, w, dx + r * width,
                                   of_weight ? partials + sum * width : nullptr);
      }
    });
  });
  at::Tensor total = of_weight ? at::zeros({width}, at::kFloat) : at::Tensor();
  for (int64_t sum = 0; of_weight && sum < sums; ++sum) total.add_(partial[sum]);
  return {grad_x, total};
}

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double epsilon) {
    const at::Tensor wide = weight.to(at::toOpMathType(x.scalar_type())).contiguous();
    const auto [y, scale] = norm_rows(x, wide, epsilon);
    context->save_for_backward({x, weight, scale});
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor wide = weight.to(at::toOpMathType(x.scalar_type())).contiguous();
    const auto [grad_x, grad_weight] =
        norm_rows_backward(grads[0].contiguous(), x, wide, saved[2], context->needs_input_grad(1));
    return {grad_x, grad_weight.defined() ? grad_weight.to(weight.scalar_type()) : grad_weight, at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  check_rms_norm(x, weight, epsilon);
  return RmsNorm::apply(x.contiguous().view({-1, x.size(-1)}), weight, epsilon).view(x.sizes());
}

}  // namespace mformer::kernels
