#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace mformer::testing {

struct AttentionInputs {
  at::Tensor query;       ///< [batch, tokens, k, heads, size]
  at::Tensor key, value;  ///< [batch, keys, heads, size]
};

/// Normal numbers that depend on the sizes alone.
inline AttentionInputs attention_inputs(std::int64_t batch, std::int64_t tokens, std::int64_t keys, std::int64_t k,
                                        std::int64_t heads, std::int64_t size, at::ScalarType dtype = at::kDouble) {
  at::manual_seed(tokens * 131 + keys * 17 + k);
  const auto random = [&](at::IntArrayRef sizes) { return at::randn(sizes, at::kDouble).to(dtype); };
  return {random({batch, tokens, k, heads, size}), random({batch, keys, heads, size}),
          random({batch, keys, heads, size})};
}

}  // namespace mformer::testing
