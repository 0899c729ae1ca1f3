#include "kernels/linear.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>

#include "kernels/cpu/matrix_products.h"

namespace mformer::kernels {
namespace {

using Order = cpu::RightMatrix::Order;

/// y [rows, columns] = x · w.
at::Tensor product(const at::Tensor& x, const at::Tensor& w, Order order, int64_t columns, const at::Tensor& bias) {
  at::Tensor y = at::empty({x.size(0), columns}, x.options());
  const float* b = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  cpu::products(x.scalar_type(), {{x.const_data_ptr(),
                                   x.size(0),
                                   {w.const_data_ptr(), w.scalar_type(), x.size(1), columns, order},
                                   y.mutable_data_ptr(),
                                   b}});
  return y;
}

class Linear : public torch::autograd::Function<Linear> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias) {
    context->save_for_backward({x, weight});
    const at::Tensor b = bias.has_value() ? bias->to(at::kFloat).contiguous() : at::Tensor();
    if (bias.has_value()) context->saved_data["bias_dtype"] = static_cast<int64_t>(bias->scalar_type());
    return product(x, weight, Order::transposed, weight.size(0), b);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1];
    const at::Tensor grad = grads[0].contiguous();
    torch::autograd::variable_list result(3);
    if (context->needs_input_grad(0)) result[0] = product(grad, weight, Order::rows, x.size(1), {});
    if (context->needs_input_grad(1)) {
      at::Tensor dw = at::empty(weight.sizes(), weight.options().dtype(at::kFloat));
      cpu::outer_products(x.scalar_type(), {{grad.const_data_ptr(), x.const_data_ptr(), x.size(0), grad.size(1),
                                             x.size(1), dw.mutable_data_ptr<float>()}});
      result[1] = dw.to(weight.scalar_type());
    }
    if (context->saved_data.count("bias_dtype") != 0 && context->needs_input_grad(2)) {
      const auto dtype = static_cast<at::ScalarType>(context->saved_data["bias_dtype"].toInt());
      result[2] = grad.to(at::kFloat).sum(0).to(dtype);
    }
    return result;
  }
};

bool is_fast(at::ScalarType x, at::ScalarType weight) {
  return (x == at::kFloat && weight == at::kFloat) ||
         (x == at::kBFloat16 && (weight == at::kFloat || weight == at::kBFloat16));
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  TORCH_CHECK(weight.dim() == 2, "weight must be [out, in], got ", weight.sizes());
  TORCH_CHECK(x.dim() >= 1 && x.size(-1) == weight.size(1), "x must be [..., ", weight.size(1), "], got ", x.sizes());
  TORCH_CHECK(!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)), "bias must be [", weight.size(0),
              "], got ", bias.defined() ? bias.sizes() : at::IntArrayRef());
  if (!x.device().is_cpu() || !is_fast(x.scalar_type(), weight.scalar_type())) {
    return at::linear(x, weight.to(x.scalar_type()), bias.defined() ? bias.to(x.scalar_type()) : bias);
  }
  std::optional<at::Tensor> b;  // an undefined tensor is no legal argument of apply()
  if (bias.defined()) b = bias;
  auto sizes = x.sizes().vec();
  sizes.back() = weight.size(0);
  return Linear::apply(x.reshape({-1, x.size(-1)}).contiguous(), weight.contiguous(), b).view(sizes);
}

}  // namespace mformer::kernels
