#include "kernels/cpu/softmax_attention.h"

#include <ATen/Dispatch.h>
#include <ATen/OpMathType.h>
#include <ATen/ops/empty.h>

#include "kernels/cpu/attention_tensors.h"
#include "kernels/cpu/softmax_backward.h"
#include "kernels/cpu/softmax_forward.h"

namespace mformer::kernels::cpu {

at::Tensor softmax_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                             const at::Tensor& key_mask, double scale, int64_t window) {
  const at::Tensor q = readable(query), k = readable(key), v = readable(value);
  at::Tensor output = at::empty(query.sizes(), query.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, query.scalar_type(), "softmax_attention", [&] {
    using Sum = typename Arithmetic<scalar_t>::Sum;
    const auto p = problem<scalar_t>(q, k, v, key_mask, scale, window);
    const auto to = written<scalar_t>(output);
    is_decoding(p) ? softmax_decode(p, to) : softmax_forward(p, to, static_cast<Sum*>(nullptr));
  });
  return output;
}

std::pair<at::Tensor, at::Tensor> softmax_attention_forward(const at::Tensor& query, const at::Tensor& key,
                                                            const at::Tensor& value, const at::Tensor& key_mask,
                                                            double scale, int64_t window) {
  const at::Tensor q = readable(query), k = readable(key), v = readable(value);
  at::Tensor output = at::empty(query.sizes(), query.options());
  at::Tensor unit = at::empty({query.size(0), query.size(3), query.size(1) * query.size(2)},
                              query.options().dtype(at::toOpMathType(query.scalar_type())));
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, query.scalar_type(), "softmax_attention_forward", [&] {
    using Sum = typename Arithmetic<scalar_t>::Sum;
    softmax_forward(problem<scalar_t>(q, k, v, key_mask, scale, window), written<scalar_t>(output),
                    unit.mutable_data_ptr<Sum>());
  });
  return {output, unit};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_attention_backward(
    const at::Tensor& grad_output, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& key_mask, const at::Tensor& output, const at::Tensor& unit, double scale, int64_t window) {
  const at::Tensor grad = readable(grad_output), q = readable(query), k = readable(key), v = readable(value);
  at::Tensor dq = at::empty(query.sizes(), query.options());
  at::Tensor dk = at::empty(key.sizes(), key.options()), dv = at::empty(value.sizes(), value.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, query.scalar_type(), "softmax_attention_backward", [&] {
    using Sum = typename Arithmetic<scalar_t>::Sum;
    const auto p = problem<scalar_t>(q, k, v, key_mask, scale, window);
    const Gradients<scalar_t> gradients{rows_of<scalar_t>(grad), written<scalar_t>(dq), written<scalar_t>(dk),
                                        written<scalar_t>(dv)};
    const SoftmaxResult<scalar_t, Sum> result{rows_of<scalar_t>(output), unit.const_data_ptr<Sum>()};
    backward(p, gradients, [&](const QueryBlock& block, KeySums<Sum>& sums) {
      softmax_backward_block(p, block, gradients, result, sums);
    });
  });
  return {dq, dk, dv};
}

}  // namespace mformer::kernels::cpu
