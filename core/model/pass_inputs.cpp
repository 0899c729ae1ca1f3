#include "core/model/pass_inputs.h"

#include "modules_registry/error.h"

namespace mformer {

void check_ids(const at::Tensor& input_ids, std::int64_t vocab_size) {
  if (input_ids.dim() != 2 || input_ids.scalar_type() != at::kLong || input_ids.numel() == 0) {
    throw Error("input_ids must be int64 [batch, tokens] and not empty");
  }
  const auto least = input_ids.min().item<std::int64_t>(), most = input_ids.max().item<std::int64_t>();
  if (least < 0 || most >= vocab_size) {
    throw Error("token id " + std::to_string(least < 0 ? least : most) + " is outside the model's vocabulary of " +
                    std::to_string(vocab_size),
                "does the tokenizer belong to this model?");
  }
}

at::Tensor checked_mask(const ForwardOptions& options, const at::Tensor& input_ids) {
  if (!options.attention_mask.has_value()) return {};
  const std::int64_t cached = options.cache != nullptr ? options.cache->length() : 0;
  const at::Tensor mask = options.attention_mask->to(at::kBool);
  if (mask.dim() != 2 || mask.size(0) != input_ids.size(0) || mask.size(1) != cached + input_ids.size(1)) {
    throw Error("attention_mask must be [batch, cached + tokens] = [" + std::to_string(input_ids.size(0)) + ", " +
                std::to_string(cached + input_ids.size(1)) + "]");
  }
  return mask;
}

}  // namespace mformer
