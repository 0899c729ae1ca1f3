#include "kernels/cpu/module_dispatch.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace mformer::kernels::cpu {
namespace {

/// Tokens a thread takes at least: a parallel region costs some microseconds.
std::int64_t grain(std::int64_t width) {
  return std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, width));
}

}  // namespace

at::Tensor gather_tokens(const at::Tensor& x, const at::Tensor& slot_of_row, std::int64_t k) {
  const std::int64_t rows = slot_of_row.numel(), bytes = x.size(1) * static_cast<std::int64_t>(x.element_size());
  at::Tensor out = at::empty({rows, x.size(1)}, x.options());
  const auto* from = static_cast<const char*>(x.const_data_ptr());
  auto* to = static_cast<char*>(out.mutable_data_ptr());
  const auto* slot = slot_of_row.const_data_ptr<std::int64_t>();
  at::parallel_for(0, rows, grain(x.size(1)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) std::memcpy(to + r * bytes, from + slot[r] / k * bytes, bytes);
  });
  return out;
}

at::Tensor sum_slots(const at::Tensor& rows, const at::Tensor& row_of_slot, std::int64_t k, const at::Tensor& gates) {
  const std::int64_t tokens = row_of_slot.numel() / k, width = rows.size(1);
  at::Tensor y = at::empty({tokens, width}, rows.options());
  const auto* row = row_of_slot.const_data_ptr<std::int64_t>();
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, rows.scalar_type(), "sum_slots", [&] {
    using Sum = at::opmath_type<scalar_t>;
    const auto* in = rows.const_data_ptr<scalar_t>();
    const auto* gate = gates.defined() ? gates.const_data_ptr<scalar_t>() : nullptr;
    auto* out = y.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, tokens, grain(width * k), [&](std::int64_t begin, std::int64_t end) {
      std::vector<Sum> sum(width);
      for (std::int64_t t = begin; t < end; ++t) {
        std::fill(sum.begin(), sum.end(), Sum(0));
        for (std::int64_t c = 0; c < k; ++c) {
          const scalar_t* x = in + row[t * k + c] * width;
          const Sum g = gate != nullptr ? static_cast<Sum>(gate[t * k + c]) : Sum(1);
          for (std::int64_t i = 0; i < width; ++i) sum[i] += g * static_cast<Sum>(x[i]);
        }
        for (std::int64_t i = 0; i < width; ++i) out[t * width + i] = static_cast<scalar_t>(sum[i]);
      }
    });
  });
  return y;
}

std::pair<at::Tensor, at::Tensor> sum_slots_backward(const at::Tensor& grad, const at::Tensor& rows,
                                                     const at::Tensor& row_of_slot, std::int64_t k,
                                                     const at::Tensor& gates) {
  const std::int64_t tokens = row_of_slot.numel() / k, width = rows.size(1);
  at::Tensor grad_rows = at::empty_like(rows), grad_gates = at::empty_like(gates);
  const auto* row = row_of_slot.const_data_ptr<std::int64_t>();
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, rows.scalar_type(), "sum_slots_backward", [&] {
    using Sum = at::opmath_type<scalar_t>;
    const auto *dy = grad.const_data_ptr<scalar_t>(), *in = rows.const_data_ptr<scalar_t>(),
               *gate = gates.const_data_ptr<scalar_t>();
    auto *dx = grad_rows.mutable_data_ptr<scalar_t>(), *dg = grad_gates.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, tokens, grain(width * k), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) {
        const scalar_t* d = dy + t * width;
        for (std::int64_t c = 0; c < k; ++c) {
          const std::int64_t at_row = row[t * k + c] * width;
          const Sum g = static_cast<Sum>(gate[t * k + c]);
          Sum dot = 0;
          for (std::int64_t i = 0; i < width; ++i) {
            dot += static_cast<Sum>(d[i]) * static_cast<Sum>(in[at_row + i]);
            dx[at_row + i] = static_cast<scalar_t>(g * static_cast<Sum>(d[i]));
          }
          dg[t * k + c] = static_cast<scalar_t>(dot);
        }
      }
    });
  });
  return {grad_rows, grad_gates};
}

}  // namespace mformer::kernels::cpu
