#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "core/model/forward.h"
#include "core/model/inference.h"
#include "core/model/model.h"
#include "core/model/parts_forward.h"

namespace mformer {

/// One hypothesis of a model, ready to decode: on the CPU prepared for inference, elsewhere as it is.
using DecodingView = std::variant<Model, PreparedModel>;

/// The views of a model (views_of()) as decoders read with them, in `dtype`. Takes the model over, so that its matrices
/// can be let go one by one. What views share is packed, or on another device moved, once.
std::vector<DecodingView> decoding_views(Model model, at::ScalarType dtype, at::Device device);

/// Reads ids [1, tokens] on, after what the cache holds; returns hidden states [1, tokens, n_embd].
at::Tensor read_on(const DecodingView& view, const at::Tensor& ids, KeyValueCache& cache);

/// forward_parts(); elsewhere than on the CPU the parts go through the model one by one.
at::Tensor read_parts(const DecodingView& view, const at::Tensor& ids, std::span<const TextPart> parts,
                      std::vector<BlockTrace>* routing = nullptr);

/// Bytes of keys and values that a cache keeps of each token.
std::int64_t cache_bytes_a_token(const DecodingView& view);

/// hidden [..., n_embd] → logits [..., vocab], where the view lies.
at::Tensor logits_of(const DecodingView& view, const at::Tensor& hidden);

}  // namespace mformer
