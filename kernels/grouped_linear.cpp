#include "kernels/grouped_linear.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/cpu/matrix_products.h"
#include "kernels/device/grouped_linear.h"

namespace mformer::kernels {
namespace {

/// Whether each module owns `rows` rows.
bool gives_each(const std::vector<int64_t>& offset, int64_t rows) {
  for (size_t m = 0; m < offset.size(); ++m) {
    if (offset[m] != static_cast<int64_t>(m) * rows) return false;
  }
  return true;
}

/// Offsets on a device are a plan's, and right for as many rows.
void check(const at::Tensor& x, const ModuleOffsets& offset) {
  if (!offset.are_on_host()) {
    TORCH_CHECK(offset.rows() == x.size(0), "offset must run from 0 to ", x.size(0));
    return;
  }
  const std::vector<int64_t>& all = offset.on_host();
  TORCH_CHECK(all.front() == 0 && (all.back() == x.size(0) || gives_each(all, x.size(0))), "offset must run from 0 to ",
              x.size(0));
  for (size_t m = 0; m + 1 < all.size(); ++m) {
    TORCH_CHECK(all[m] <= all[m + 1], "offset must not decrease, but does at ", m);
  }
}

void check(const at::Tensor& x, const ModuleOffsets& offset, const std::vector<at::Tensor>& weights) {
  TORCH_CHECK(x.dim() == 2, "x must be [rows, in], got ", x.sizes());
  TORCH_CHECK(offset.modules() == static_cast<int64_t>(weights.size()), "offset must have ", weights.size() + 1,
              " entries, got ", offset.modules() + 1);
  TORCH_CHECK(!weights.empty(), "weights must hold at least one module");
  check(x, offset);
  for (size_t m = 0; m < weights.size(); ++m) {
    TORCH_CHECK(weights[m].dim() == 2 && weights[m].size(0) == x.size(1) && weights[m].size(1) == weights[0].size(1),
                "weights[", m, "] must be [", x.size(1), ", ", weights[0].size(1), "], got ", weights[m].sizes());
    TORCH_CHECK(weights[m].scalar_type() == x.scalar_type() || x.scalar_type() == at::kBFloat16, "weights[", m,
                "] must have x's dtype ", x.scalar_type(), ", got ", weights[m].scalar_type());
    TORCH_CHECK(weights[m].device() == x.device(), "weights[", m, "] is on ", weights[m].device(), ", x on ",
                x.device());
  }
}

/// Whether our own products take these; other devices, and dtypes of tests and odd checkpoints, go to LibTorch.
bool is_fast(const at::Tensor& x, at::TensorList weights) {
  const auto own = [](at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16; };
  bool all = x.device().is_cpu() && own(x.scalar_type());
  for (const at::Tensor& weight : weights) all = all && own(weight.scalar_type());
  return all;
}

/// Calls visit(module, first row, rows) for every module that has rows.
template <typename Visit>
void for_each_group(const std::vector<int64_t>& offset, const Visit& visit) {
  for (size_t m = 0; m + 1 < offset.size(); ++m) {
    if (offset[m + 1] > offset[m]) visit(m, offset[m], offset[m + 1] - offset[m]);
  }
}

using Frozen = c10::intrusive_ptr<FrozenPanels>;

const char* row_of(const at::Tensor& x, int64_t row) {
  return static_cast<const char*>(x.const_data_ptr()) + row * x.size(1) * static_cast<int64_t>(x.element_size());
}

/// The right factors of products with the modules' weights, or with their transposes, and what must outlive them.
class RightFactors {
 public:
  RightFactors(at::ScalarType dtype, at::TensorList weights, bool transposed, const Frozen& frozen)
      : dtype_(dtype), weights_(weights), transposed_(transposed), frozen_(frozen) {}

  cpu::RightMatrix of(size_t m) {
    const at::Tensor& weight = weights_[m];
    const bool kept = frozen_ && !weight.requires_grad() && weight.is_contiguous();
    keep_.push_back(kept ? frozen_->of(weight, transposed_, dtype_) : weight.contiguous());
    const int64_t in = weight.size(0), out = weight.size(1);
    const auto order = transposed_ ? cpu::RightMatrix::Order::transposed : cpu::RightMatrix::Order::rows;
    return {keep_.back().const_data_ptr(), kept ? dtype_ : keep_.back().scalar_type(), transposed_ ? out : in,
            transposed_ ? in : out, kept ? cpu::RightMatrix::Order::panels : order};
  }

 private:
  at::ScalarType dtype_;
  at::TensorList weights_;
  bool transposed_;
  const Frozen& frozen_;
  std::vector<at::Tensor> keep_;
};

/// y = x · W of each row's module, or x · Wᵀ if `transposed`; x may be the rows of every module.
at::Tensor multiply(const at::Tensor& x, const ModuleOffsets& offset, at::TensorList weights, bool transposed,
                    const Frozen& frozen) {
  if (!is_fast(x, weights)) return device::grouped_product(x, offset, weights, transposed, frozen);
  at::Tensor y = at::empty({offset.rows(), weights[0].size(transposed ? 0 : 1)}, x.options());
  const bool shared = x.size(0) != offset.rows();
  RightFactors right(x.scalar_type(), weights, transposed, frozen);
  std::vector<cpu::Product> list;
  auto* to = static_cast<char*>(y.mutable_data_ptr());
  for_each_group(offset.on_host(), [&](size_t m, int64_t first, int64_t rows) {
    list.push_back({row_of(x, shared ? 0 : first), rows, right.of(m),
                    to + first * y.size(1) * static_cast<int64_t>(y.element_size())});
  });
  cpu::products(x.scalar_type(), list);
  return y;
}

/// y = Σ over modules of their rows · W, or · Wᵀ.
at::Tensor multiply_and_sum(const at::Tensor& x, const ModuleOffsets& offsets, at::TensorList weights, bool transposed,
                            const Frozen& frozen) {
  const std::vector<int64_t>& offset = offsets.on_host();  // all modules have as many rows: never a device's
  if (!is_fast(x, weights)) return device::grouped_product_sum(x, offset, weights, transposed);
  at::Tensor y = at::empty({offset[1], weights[0].size(transposed ? 0 : 1)}, x.options());
  if (y.numel() == 0) return y;
  RightFactors right(x.scalar_type(), weights, transposed, frozen);
  cpu::Product product{row_of(x, 0), offset[1], right.of(0), y.mutable_data_ptr()};
  for (size_t m = 1; m < weights.size(); ++m) product.more.push_back({row_of(x, offset[m]), right.of(m)});
  cpu::products(x.scalar_type(), {product});
  return y;
}

/// dW = xᵀ · dy of each module that trains; the others, and those without rows, stay undefined (zero). Either of x and
/// dy may be the rows of every module.
std::vector<at::Tensor> weight_gradients(const at::Tensor& x, const at::Tensor& grad, const ModuleOffsets& offset,
                                         at::TensorList weights) {
  if (!is_fast(x, weights)) return device::grouped_weight_gradients(x, grad, offset, weights);
  std::vector<at::Tensor> result(weights.size());
  const bool shared_x = x.size(0) != offset.rows(), shared_grad = grad.size(0) != offset.rows();
  std::vector<cpu::OuterProduct> list;
  for_each_group(offset.on_host(), [&](size_t m, int64_t first, int64_t rows) {
    if (!weights[m].requires_grad()) return;
    result[m] = at::empty(weights[m].sizes(), weights[m].options().dtype(at::kFloat));
    list.push_back({row_of(x, shared_x ? 0 : first), row_of(grad, shared_grad ? 0 : first), rows, x.size(1),
                    grad.size(1), result[m].mutable_data_ptr<float>()});
  });
  if (!list.empty()) cpu::outer_products(x.scalar_type(), list);
  for (size_t m = 0; m < result.size(); ++m) {
    if (result[m].defined()) result[m] = result[m].to(weights[m].scalar_type());
  }
  return result;
}

/// The left factor of a product for the gradients of its weights: kept, or made again.
struct LeftAgain : torch::CustomClassHolder {
  std::function<at::Tensor(const std::vector<at::Tensor>&)> make;
};

bool any_learns(at::TensorList weights) {
  return std::any_of(weights.begin(), weights.end(), [](const at::Tensor& weight) { return weight.requires_grad(); });
}

/// grouped_linear, or with the sum of each token's rows.
class GroupedLinear : public torch::autograd::Function<GroupedLinear> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const ModuleOffsets& offset,
                            at::TensorList weights, const Frozen& frozen, bool sum, const Recomputed& again) {
    at::Tensor y = (sum ? multiply_and_sum : multiply)(x, offset, weights, false, frozen);
    std::vector<at::Tensor> saved = weights.vec();
    if (any_learns(weights)) keep_left(context, x, again, saved);
    context->save_for_backward(std::move(saved));
    context->saved_data["offset"] = offset.as_value();
    context->saved_data["rows"] = x.size(0);
    context->saved_data["weights"] = static_cast<int64_t>(weights.size());
    if (frozen) context->saved_data["frozen"] = c10::IValue::make_capsule(frozen);
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    auto weights = context->get_saved_variables();
    const auto count = context->saved_data["weights"].toInt();
    const std::vector<at::Tensor> kept(weights.begin() + count, weights.end());
    weights.resize(static_cast<size_t>(count));
    const auto offset = ModuleOffsets::from_value(context->saved_data["offset"]);
    const at::Tensor grad = grads[0].contiguous();

    torch::autograd::variable_list result(2);  // x, offset, one per weight, frozen, sum, again
    if (context->needs_input_grad(0)) {
      Frozen frozen;
      if (context->saved_data.count("frozen") != 0) {
        frozen = c10::static_intrusive_pointer_cast<FrozenPanels>(context->saved_data["frozen"].toCapsule());
      }
      const bool shared = context->saved_data["rows"].toInt() != offset.rows();
      result[0] = (shared ? multiply_and_sum : multiply)(grad, offset, weights, true, frozen);
    }
    if (kept.empty()) {
      result.resize(result.size() + weights.size());
    } else {
      for (at::Tensor& gradient : weight_gradients(left(context, kept), grad, offset, weights)) {
        result.push_back(std::move(gradient));
      }
    }
    result.resize(result.size() + 3);
    return result;
  }

 private:
  static void keep_left(torch::autograd::AutogradContext* context, const at::Tensor& x, const Recomputed& again,
                        std::vector<at::Tensor>& saved) {
    if (!again.make) return saved.push_back(x);
    saved.insert(saved.end(), again.from.begin(), again.from.end());
    auto left = c10::make_intrusive<LeftAgain>();
    left->make = again.make;
    context->saved_data["again"] = c10::IValue::make_capsule(left);
  }

  static at::Tensor left(torch::autograd::AutogradContext* context, const std::vector<at::Tensor>& kept) {
    if (context->saved_data.count("again") == 0) return kept.front();
    const at::NoGradGuard no_gradients;
    const auto again = c10::static_intrusive_pointer_cast<LeftAgain>(context->saved_data["again"].toCapsule());
    return again->make(kept).contiguous();
  }
};

}  // namespace

at::Tensor grouped_linear(const at::Tensor& x, const ModuleOffsets& offset, const std::vector<at::Tensor>& weights,
                          const c10::intrusive_ptr<FrozenPanels>& frozen, const Recomputed& again) {
  check(x, offset, weights);
  return GroupedLinear::apply(x.contiguous(), offset, at::TensorList(weights), frozen, /*sum=*/false, again);
}

at::Tensor grouped_linear_sum(const at::Tensor& x, const ModuleOffsets& offset, const std::vector<at::Tensor>& weights,
                              const c10::intrusive_ptr<FrozenPanels>& frozen, const Recomputed& again) {
  check(x, offset, weights);
  TORCH_CHECK(offset.rows() == x.size(0) && offset.are_on_host() && gives_each(offset.on_host(), offset.on_host()[1]),
              "offset must give every module the same number of the ", x.size(0), " rows");
  return GroupedLinear::apply(x.contiguous(), offset, at::TensorList(weights), frozen, /*sum=*/true, again);
}

}  // namespace mformer::kernels
