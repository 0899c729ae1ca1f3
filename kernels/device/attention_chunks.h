#pragma once

#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>

// Attention in LibTorch operations goes through some tokens at a time.

namespace mformer::kernels::device::composite {

/// Tokens [first, end) of [batch, tokens, k, heads, head_size] as rows [batch, heads, tokens · k, head_size].
inline at::Tensor rows(const at::Tensor& x, std::int64_t first, std::int64_t end) {
  const at::Tensor part = x.narrow(1, first, end - first).to(at::toOpMathType(x.scalar_type()));
  return part.permute({0, 3, 1, 2, 4}).reshape({x.size(0), x.size(3), -1, x.size(4)});
}

/// Writes rows back to tokens [first, end).
inline void write(const at::Tensor& rows, std::int64_t first, std::int64_t end, at::Tensor& to) {
  const at::Tensor part = rows.view({to.size(0), to.size(3), end - first, to.size(2), to.size(4)});
  to.narrow(1, first, end - first).copy_(part.permute({0, 2, 3, 1, 4}));
}

/// Calls visit(first token, end) for pieces of about `scores` scores.
template <typename Visit>
void for_each_chunk(const at::Tensor& query, const at::Tensor& key, std::int64_t scores, const Visit& visit) {
  const std::int64_t per_token = query.size(0) * query.size(2) * query.size(3) * key.size(1);
  if (per_token == 0 || query.size(4) == 0) return;
  const std::int64_t step = std::max<std::int64_t>(1, scores / per_token);
  for (std::int64_t first = 0; first < query.size(1); first += step)
    visit(first, std::min(first + step, query.size(1)));
}

}  // namespace mformer::kernels::device::composite
