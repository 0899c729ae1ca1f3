#include "kernels/grouped_linear.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

namespace mformer::kernels {
namespace {

void check(const at::Tensor& x, const std::vector<int64_t>& offset, const std::vector<at::Tensor>& weights) {
  TORCH_CHECK(x.dim() == 2, "x must be [rows, in], got ", x.sizes());
  TORCH_CHECK(offset.size() == weights.size() + 1, "offset must have ", weights.size() + 1, " entries, got ",
              offset.size());
  TORCH_CHECK(!weights.empty(), "weights must hold at least one module");
  TORCH_CHECK(offset.front() == 0 && offset.back() == x.size(0), "offset must run from 0 to ", x.size(0));
  for (size_t m = 0; m < weights.size(); ++m) {
    TORCH_CHECK(offset[m] <= offset[m + 1], "offset must not decrease, but does at ", m);
    TORCH_CHECK(weights[m].dim() == 2 && weights[m].size(0) == x.size(1) && weights[m].size(1) == weights[0].size(1),
                "weights[", m, "] must be [", x.size(1), ", ", weights[0].size(1), "], got ", weights[m].sizes());
    TORCH_CHECK(weights[m].scalar_type() == x.scalar_type() || x.scalar_type() == at::kBFloat16, "weights[", m,
                "] must have x's dtype ", x.scalar_type(), ", got ", weights[m].scalar_type());
  }
}

class GroupedLinear : public torch::autograd::Function<GroupedLinear> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const std::vector<int64_t>& offset, at::TensorList weights) {
    at::Tensor y = at::empty({x.size(0), weights[0].size(1)}, x.options());
    for (size_t m = 0; m < weights.size(); ++m) {
      const int64_t rows = offset[m + 1] - offset[m];
      if (rows == 0) continue;
      at::Tensor part = y.narrow(0, offset[m], rows);
      at::mm_out(part, x.narrow(0, offset[m], rows), weights[m].to(x.scalar_type()));
    }
    std::vector<at::Tensor> saved = weights.vec();
    saved.push_back(x);
    context->save_for_backward(std::move(saved));
    context->saved_data["offset"] = offset;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    auto weights = context->get_saved_variables();
    const at::Tensor x = weights.back();
    weights.pop_back();
    const auto offset = context->saved_data["offset"].toIntVector();
    const at::Tensor grad = grads[0].contiguous();
    const bool x_needs_grad = context->needs_input_grad(0);

    torch::autograd::variable_list result(weights.size() + 2);  // x, offset, one per weight
    if (x_needs_grad) result[0] = at::empty(x.sizes(), x.options());
    for (size_t m = 0; m < weights.size(); ++m) {
      const int64_t rows = offset[m + 1] - offset[m];
      if (rows == 0) continue;  // an undefined gradient is a zero gradient
      const at::Tensor part = grad.narrow(0, offset[m], rows);
      if (x_needs_grad) {
        at::Tensor dx = result[0].narrow(0, offset[m], rows);
        at::mm_out(dx, part, weights[m].to(x.scalar_type()).t());
      }
      if (weights[m].requires_grad()) {
        result[m + 2] = at::mm(x.narrow(0, offset[m], rows).t(), part).to(weights[m].scalar_type());
      }
    }
    return result;
  }
};

}  // namespace

at::Tensor grouped_linear(const at::Tensor& x, const std::vector<int64_t>& offset,
                          const std::vector<at::Tensor>& weights) {
  check(x, offset, weights);
  return GroupedLinear::apply(x.contiguous(), offset, at::TensorList(weights));
}

}  // namespace mformer::kernels
