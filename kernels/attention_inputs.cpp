#include "kernels/attention_inputs.h"

namespace mformer::kernels {

void check_attention_inputs(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            const std::optional<at::Tensor>& key_mask) {
  TORCH_CHECK(query.dim() == 5, "query must be [batch, tokens, k, heads, head_size], got ", query.sizes());
  TORCH_CHECK(key.dim() == 4, "key must be [batch, keys, heads, head_size], got ", key.sizes());
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
}

}  // namespace mformer::kernels
