#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "core/model/forward.h"

// One pass over tokens of many texts, each of which goes on after what its own cache holds.
namespace mformer {

struct PreparedModel;

/// Tokens of one text in such a pass.
struct TextPart {
  KeyValueCache* cache;  ///< Of a batch of one; gets the tokens and is advanced. Each part has another.
  std::int64_t tokens;   ///< At least one.
};

/// Reads ids [tokens], int64: of each part so many, one part after the other. Returns hidden states [tokens, n_embd]
/// after the last norm. Each text gets what forward() gives it alone, but for rounding: products with weights (maps of
/// modules, projections, routers) take the rows of all texts at once, attention goes through the texts one by one.
/// `routing`, unless it is null, becomes what routers chose, one a layer, rows as `ids`. Throws as forward().
at::Tensor forward_parts(const PreparedModel& model, const at::Tensor& ids, std::span<const TextPart> parts,
                         std::vector<BlockTrace>* routing = nullptr);

}  // namespace mformer
