#include "kernels/cpu/stick_breaking_attention.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>

#include <cmath>

#include "kernels/cpu/stick_breaking_backward.h"
#include "kernels/cpu/stick_breaking_decode.h"
#include "kernels/cpu/stick_breaking_forward.h"

namespace mformer::kernels::cpu {
namespace {

template <typename T>
Strided<const T> keys_of(const at::Tensor& x) {
  return {x.const_data_ptr<T>(), x.stride(0), x.stride(1), x.stride(2)};
}

template <typename T>
Strided<const T> rows_of(const at::Tensor& x) {
  return {x.const_data_ptr<T>(), x.stride(0), x.size(2) > 1 ? x.stride(2) : x.stride(1), x.stride(3)};
}

/// A new, contiguous tensor [batch, …, heads, head_size].
template <typename T>
Strided<T> written(at::Tensor& x) {
  const int64_t row = x.size(-2) * x.size(-1);
  return {x.mutable_data_ptr<T>(), x.stride(0), row, x.size(-1)};
}

template <typename T>
Problem<T> problem(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask) {
  return {query.size(0),
          query.size(1),
          query.size(2),
          query.size(3),
          query.size(4),
          key.size(1),
          rows_of<T>(query),
          keys_of<T>(key),
          keys_of<T>(value),
          mask.defined() ? mask.const_data_ptr<bool>() : nullptr,
          1.0 / std::sqrt(static_cast<double>(query.size(4)))};
}

/// With neighbours within a head, and rows at equal distances for queries.
at::Tensor readable(const at::Tensor& x) {
  const bool neighbours = x.size(-1) == 1 || x.stride(-1) == 1;
  const bool equal = x.dim() == 4 || x.size(1) == 1 || x.size(2) == 1 || x.stride(1) == x.size(2) * x.stride(2);
  return neighbours && equal ? x : x.contiguous();
}

}  // namespace

at::Tensor stick_breaking_forward(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                  const at::Tensor& key_mask) {
  const at::Tensor q = readable(query), k = readable(key), v = readable(value);
  at::Tensor output = at::empty(query.sizes(), query.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, query.scalar_type(), "stick_breaking_forward", [&] {
    const auto p = problem<scalar_t>(q, k, v, key_mask);
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
    using Sum = typename Arithmetic<scalar_t>::Sum;
    const auto p = problem<scalar_t>(q, k, v, key_mask);
    const Gradients<scalar_t> gradients{rows_of<scalar_t>(grad), written<scalar_t>(dq), written<scalar_t>(dk),
                                        written<scalar_t>(dv)};
    const int64_t parts = parts_per_pair(p);
    if (parts == 1) return backward_by_pairs(p, gradients);
    const at::Tensor room = at::empty({p.pairs() * parts * 2 * p.keys * p.width()},
                                      query.options().dtype(c10::CppTypeToScalarType<Sum>::value));
    backward_by_parts(p, gradients, parts, room.mutable_data_ptr<Sum>());
  });
  return {dq, dk, dv};
}

}  // namespace mformer::kernels::cpu
