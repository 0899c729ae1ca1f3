#include "kernels/cpu/stick_breaking_attention.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include "kernels/cpu/attention_tensors.h"
#include "kernels/cpu/stick_breaking_backward.h"
#include "kernels/cpu/stick_breaking_decode.h"
#include "kernels/cpu/stick_breaking_forward.h"

namespace mformer::kernels::cpu {
namespace {

double scale_of(const at::Tensor& query) {
  return 1.0 / std::sqrt(static_cast<double>(query.size(4)));
}

}  // namespace

at::Tensor stick_breaking_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const at::Tensor& key_mask) {
  const at::Tensor q = readable(query), k = readable(key), v = readable(value);
  at::Tensor output = at::empty(query.sizes(), query.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, query.scalar_type(), "stick_breaking_forward", [&] {
    const auto p = problem<scalar_t>(q, k, v, key_mask, scale_of(q));
    const auto to = written<scalar_t>(output);
    is_decoding(p) ? decode(p, to) : forward(p, to);
  });
  return output;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> stick_breaking_backward(const at::Tensor& grad_output,
                                                                       const at::Tensor& query, const at::Tensor& key,
                                                                       const at::Tensor& value,
                                                                       const at::Tensor& key_mask) {
  const at::Tensor grad = readable(grad_output), q = readable(query), k = readable(key), v = readable(value);
  at::Tensor dq = at::empty(query.sizes(), query.options());
  at::Tensor dk = at::empty(key.sizes(), key.options()), dv = at::empty(value.sizes(), value.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, query.scalar_type(), "stick_breaking_backward", [&] {
    const auto p = problem<scalar_t>(q, k, v, key_mask, scale_of(q));
    const Gradients<scalar_t> gradients{rows_of<scalar_t>(grad), written<scalar_t>(dq), written<scalar_t>(dk),
                                        written<scalar_t>(dv)};
    backward(p, gradients, [&](const QueryBlock& block, auto& sums) { backward_block(p, block, gradients, sums); });
  });
  return {dq, dk, dv};
}

}  // namespace mformer::kernels::cpu
