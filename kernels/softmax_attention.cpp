#include "kernels/softmax_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>

#include <cmath>

namespace mformer::kernels {
namespace {

void check_softmax_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                             const std::optional<at::Tensor>& key_mask, double scale, std::int64_t window) {
  TORCH_CHECK(query.dim() == 5, "query must be [batch, tokens, k, heads, size], got ", query.sizes());
  TORCH_CHECK(key.dim() == 4, "key must be [batch, keys, heads, size], got ", key.sizes());
  TORCH_CHECK(value.sizes() == key.sizes(), "value must have key's sizes ", key.sizes(), ", got ", value.sizes());
  TORCH_CHECK(key.size(0) == query.size(0) && key.size(2) == query.size(3) && key.size(3) == query.size(4), "key ",
              key.sizes(), " does not fit query ", query.sizes());
  TORCH_CHECK(key.size(1) >= query.size(1), "key has ", key.size(1), " positions, fewer than query's ", query.size(1));
  TORCH_CHECK(query.is_floating_point() && key.scalar_type() == query.scalar_type() &&
                  value.scalar_type() == query.scalar_type(),
              "query, key and value must share one floating dtype");
  TORCH_CHECK(key.device() == query.device() && value.device() == query.device(), "query is on ", query.device(),
              ", key on ", key.device(), ", value on ", value.device());
  if (key_mask.has_value()) {
    TORCH_CHECK(key_mask->scalar_type() == at::kBool && key_mask->dim() == 2 && key_mask->size(0) == key.size(0) &&
                    key_mask->size(1) == key.size(1),
                "key_mask must be a bool [batch, keys] = [", key.size(0), ", ", key.size(1), "], got ",
                key_mask->scalar_type(), " ", key_mask->sizes());
    TORCH_CHECK(key_mask->device() == query.device(), "query is on ", query.device(), ", key_mask on ",
                key_mask->device());
  }
  TORCH_CHECK(std::isfinite(scale), "scale must be finite, got ", scale);
  TORCH_CHECK(window >= 0, "window must be at least 0, got ", window);
}

/// [tokens, keys], true where the query reads the key; with a mask of keys [batch, 1, 1, tokens, keys].
at::Tensor visible(const at::Tensor& query, const at::Tensor& key, const std::optional<at::Tensor>& key_mask,
                   std::int64_t window) {
  const std::int64_t tokens = query.size(1), keys = key.size(1);
  const auto options = query.options().dtype(at::kLong);
  const at::Tensor distance = at::arange(keys - tokens, keys, options).unsqueeze(1) - at::arange(keys, options);
  at::Tensor seen = distance >= 0;
  if (window > 0) seen = seen.logical_and(distance < window);
  return key_mask.has_value() ? seen.logical_and(key_mask->view({key.size(0), 1, 1, 1, keys})) : seen;
}

}  // namespace

at::Tensor softmax_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                             const std::optional<at::Tensor>& key_mask, double scale, std::int64_t window) {
  std::optional<at::Tensor> mask;
  if (key_mask.has_value()) mask = key_mask->contiguous();
  check_softmax_attention(query, key, value, mask, scale, window);
  const at::ScalarType wide = query.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor q = query.permute({0, 3, 2, 1, 4}).to(wide);  // [batch, heads, k, tokens, size]
  const at::Tensor k = key.permute({0, 2, 3, 1}).unsqueeze(2).to(wide);
  const at::Tensor v = value.permute({0, 2, 1, 3}).unsqueeze(2).to(wide);
  const at::Tensor hidden = visible(query, key, mask, window).logical_not();
  // A finite number, so that a query that reads nothing is no NaN before its weights become 0.
  const at::Tensor scores = (at::matmul(q, k) * scale).masked_fill(hidden, -1e30);
  const at::Tensor weights = at::softmax(scores, -1).masked_fill(hidden, 0);
  return at::matmul(weights, v).permute({0, 3, 2, 1, 4}).contiguous().to(query.scalar_type());
}

}  // namespace mformer::kernels
