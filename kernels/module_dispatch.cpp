#include "kernels/module_dispatch.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/cpu/module_dispatch.h"
#include "kernels/device/operations.h"

namespace mformer::kernels {
namespace {

constexpr int64_t kAnyWidth = -1;

int64_t slots_of(const ModuleDispatch& dispatch) {
  return dispatch.slot_of_row.numel();
}

int64_t tokens_of(const ModuleDispatch& dispatch) {
  return slots_of(dispatch) / dispatch.k;
}

/// The loops behind these functions index without looking, so whatever they get must have the dispatch's sizes.
void check_shape(const char* name, const at::Tensor& x, const ModuleDispatch& dispatch, at::IntArrayRef sizes) {
  const at::Device place = dispatch.slot_of_row.device();
  TORCH_CHECK(x.defined() && x.device() == place && at::isFloatingType(x.scalar_type()), name,
              " must be a floating-point tensor on ", place);
  bool fits = x.dim() == static_cast<int64_t>(sizes.size());
  for (size_t d = 0; fits && d < sizes.size(); ++d) fits = sizes[d] == kAnyWidth || x.size(d) == sizes[d];
  TORCH_CHECK(fits, name, " must be ", sizes, " (-1: any width) for this dispatch, got ", x.sizes());
}

at::Tensor gather_tokens(const at::Tensor& x, const at::Tensor& slot_of_row, int64_t k) {
  return x.device().is_cpu() ? cpu::gather_tokens(x.contiguous(), slot_of_row, k)
                             : device::gather_tokens(x, slot_of_row, k);
}

at::Tensor sum_slots(const at::Tensor& rows, const at::Tensor& row_of_slot, int64_t k, const at::Tensor& gates) {
  return rows.device().is_cpu() ? cpu::sum_slots(rows, row_of_slot, k, gates)
                                : device::sum_slots(rows, row_of_slot, k, gates);
}

/// The gradient of the copies adds each token's k rows in the order of the choices, where that of a plain index_select
/// would scatter in an order of its own.
class RowsFromTokens : public torch::autograd::Function<RowsFromTokens> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& slot_of_row, const at::Tensor& row_of_slot, int64_t k) {
    context->save_for_backward({row_of_slot});
    context->saved_data["k"] = k;
    return gather_tokens(x, slot_of_row, k);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const at::Tensor row_of_slot = context->get_saved_variables()[0];
    return {sum_slots(grads[0].contiguous(), row_of_slot, context->saved_data["k"].toInt(), {}), at::Tensor(),
            at::Tensor(), at::Tensor()};
  }
};

/// y = x[index], `index` a permutation and `inverse` its inverse.
class Permute : public torch::autograd::Function<Permute> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& index,
                            const at::Tensor& inverse) {
    context->save_for_backward({inverse});
    return at::index_select(x, 0, index);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    return {at::index_select(grads[0], 0, context->get_saved_variables()[0]), at::Tensor(), at::Tensor()};
  }
};

class Combine : public torch::autograd::Function<Combine> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& rows, const at::Tensor& gates,
                            const at::Tensor& row_of_slot, int64_t k) {
    context->save_for_backward({rows, gates, row_of_slot});
    context->saved_data["k"] = k;
    return sum_slots(rows, row_of_slot, k, gates);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& grads) {
    const auto saved = context->get_saved_variables();
    const auto backward = saved[0].device().is_cpu() ? cpu::sum_slots_backward : device::sum_slots_backward;
    auto [grad_rows, grad_gates] =
        backward(grads[0].contiguous(), saved[0], saved[2], context->saved_data["k"].toInt(), saved[1]);
    return {grad_rows, grad_gates, at::Tensor(), at::Tensor()};
  }
};

/// y = x[index]; bare without gradients, where a decoded token would notice the bookkeeping.
at::Tensor permute(const at::Tensor& x, const at::Tensor& index, const at::Tensor& inverse) {
  if (!at::GradMode::is_enabled()) return gather_tokens(x, index, 1);
  return Permute::apply(x, index, inverse);
}

}  // namespace

ModuleDispatch plan_dispatch(const at::Tensor& chosen, int64_t modules) {
  TORCH_CHECK(chosen.dim() == 2 && chosen.size(1) > 0 && chosen.scalar_type() == at::kLong,
              "chosen must be int64 [tokens, k] with k > 0, got ", chosen.scalar_type(), " ", chosen.sizes());
  if (!chosen.device().is_cpu()) return device::plan_dispatch(chosen, modules);
  const at::Tensor contiguous = chosen.contiguous();
  const int64_t slots = contiguous.numel();
  const int64_t* module_of_slot = contiguous.const_data_ptr<int64_t>();
  std::vector<int64_t> offset(modules + 1, 0);
  for (int64_t s = 0; s < slots; ++s) {
    const int64_t m = module_of_slot[s];
    TORCH_CHECK(m >= 0 && m < modules, "chosen holds module ", m, ", there are ", modules);
    ++offset[m + 1];
  }
  for (int64_t m = 0; m < modules; ++m) offset[m + 1] += offset[m];
  std::vector<int64_t> next(offset.begin(), offset.end() - 1);
  ModuleDispatch dispatch{chosen.size(1), std::move(offset), at::empty({slots}, at::kLong),
                          at::empty({slots}, at::kLong)};
  auto* slot_of_row = dispatch.slot_of_row.mutable_data_ptr<int64_t>();
  auto* row_of_slot = dispatch.row_of_slot.mutable_data_ptr<int64_t>();
  for (int64_t s = 0; s < slots; ++s) {
    const int64_t row = next[module_of_slot[s]]++;
    row_of_slot[s] = row;
    slot_of_row[row] = s;
  }
  return dispatch;
}

ModuleDispatch dispatch_to_all(int64_t tokens, int64_t modules, const at::Device& device) {
  TORCH_CHECK(tokens >= 0, "tokens must be at least 0, got ", tokens);
  TORCH_CHECK(modules >= 1, "modules must be at least 1, got ", modules);
  std::vector<int64_t> offset;
  for (int64_t m = 0; m <= modules; ++m) offset.push_back(m * tokens);
  const auto options = at::TensorOptions(at::kLong).device(device);
  if (!device.is_cpu()) {  // slots are numbered by token, rows by module
    const at::Tensor numbers = at::arange(tokens * modules, options);
    return {modules, std::move(offset), numbers.view({tokens, modules}).t().reshape({-1}),
            numbers.view({modules, tokens}).t().reshape({-1}), /*to_all=*/true};
  }
  // A decoded token would notice operations.
  ModuleDispatch dispatch{modules, std::move(offset), at::empty({tokens * modules}, options),
                          at::empty({tokens * modules}, options), /*to_all=*/true};
  auto* slot_of_row = dispatch.slot_of_row.mutable_data_ptr<int64_t>();
  auto* row_of_slot = dispatch.row_of_slot.mutable_data_ptr<int64_t>();
  for (int64_t row = 0; row < tokens * modules; ++row) {
    const int64_t slot = row % tokens * modules + row / tokens;
    slot_of_row[row] = slot;
    row_of_slot[slot] = row;
  }
  return dispatch;
}

at::Tensor rows_from_tokens(const at::Tensor& x, const ModuleDispatch& dispatch) {
  check_shape("x", x, dispatch, {tokens_of(dispatch), kAnyWidth});
  if (dispatch.to_all) return x;
  if (!at::GradMode::is_enabled()) return gather_tokens(x, dispatch.slot_of_row, dispatch.k);
  return RowsFromTokens::apply(x, dispatch.slot_of_row, dispatch.row_of_slot, dispatch.k);
}

at::Tensor rows_from_slots(const at::Tensor& x, const ModuleDispatch& dispatch) {
  check_shape("x", x, dispatch, {tokens_of(dispatch), dispatch.k, kAnyWidth});
  if (dispatch.to_all) return x.transpose(0, 1).reshape({slots_of(dispatch), x.size(2)});
  return permute(x.reshape({slots_of(dispatch), x.size(2)}), dispatch.slot_of_row, dispatch.row_of_slot);
}

at::Tensor slots_from_rows(const at::Tensor& rows, const ModuleDispatch& dispatch) {
  check_shape("rows", rows, dispatch, {slots_of(dispatch), kAnyWidth});
  if (dispatch.to_all) return rows.view({dispatch.k, tokens_of(dispatch), rows.size(1)}).transpose(0, 1);
  return permute(rows, dispatch.row_of_slot, dispatch.slot_of_row)
      .view({tokens_of(dispatch), dispatch.k, rows.size(1)});
}

at::Tensor combine(const at::Tensor& rows, const at::Tensor& gates, const ModuleDispatch& dispatch) {
  check_shape("rows", rows, dispatch, {slots_of(dispatch), kAnyWidth});
  check_shape("gates", gates, dispatch, {tokens_of(dispatch), dispatch.k});
  return Combine::apply(rows.contiguous(), gates.to(rows.scalar_type()).contiguous(), dispatch.row_of_slot, dispatch.k);
}

}  // namespace mformer::kernels
