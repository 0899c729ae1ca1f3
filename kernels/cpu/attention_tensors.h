#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/cpu/attention_block.h"

// From tensors to problems of attention.

namespace mformer::kernels::cpu {

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
Problem<T> problem(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& mask,
                   double scale, int64_t window = 0) {
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
          scale,
          window};
}

/// With neighbours within a head, and rows at equal distances for queries.
inline at::Tensor readable(const at::Tensor& x) {
  const bool neighbours = x.size(-1) == 1 || x.stride(-1) == 1;
  const bool equal = x.dim() == 4 || x.size(1) == 1 || x.size(2) == 1 || x.stride(1) == x.size(2) * x.stride(2);
  return neighbours && equal ? x : x.contiguous();
}

}  // namespace mformer::kernels::cpu
