#pragma once

#include <ATen/core/Tensor.h>

#include "core/model/forward.h"

// What every pass asks of its inputs, whatever the model is.
namespace mformer {

/// Throws Error unless `input_ids` is int64 [batch, tokens], not empty, with ids below `vocab_size`.
void check_ids(const at::Tensor& input_ids, std::int64_t vocab_size);

/// The options' attention mask as bool; undefined where there is none. Throws Error for another shape.
at::Tensor checked_mask(const ForwardOptions& options, const at::Tensor& input_ids);

}  // namespace mformer
