#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/checkpoint/hub_folder.h"

namespace mformer {

/// `shape` of the tensor's elements from number `first` on, in the order of the rows that the model has: where the file
/// interleaves the halves of groups of `interleaved` rows (gguf_interleaved_rows), they are put back, and first and
/// shape are whole rows. 0: as they lie in the file.
at::Tensor gguf_elements(const HubFolder::StoredGguf& stored, std::int64_t interleaved, std::int64_t first,
                         const std::vector<std::int64_t>& shape);

/// A tensor of a model with its rows as GGUF keeps them.
at::Tensor with_interleaved_rows(const at::Tensor& tensor, std::int64_t interleaved);

}  // namespace mformer
