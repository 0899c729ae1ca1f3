#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace mformer::kernels {

/// What stick-breaking and softmax attention ask of their inputs alike, as their headers say. Throws c10::Error naming
/// the argument.
void check_attention_inputs(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            const std::optional<at::Tensor>& key_mask);

}  // namespace mformer::kernels
