#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <optional>
#include <span>

#include "core/formats/model_config.h"
#include "core/model/forward.h"
#include "core/model/parts_forward.h"
#include "kernels/rotary.h"

// The middle of an attention layer, between the modules' two maps: the same whether a model is trained or only answers.
namespace mformer {

/// What the scores are made of. A query of slot s reads the key head of its own number h.
struct Heads {
  at::Tensor query;       ///< [batch, tokens, slots, heads, size]
  at::Tensor key, value;  ///< [batch, tokens, heads, size]
};

/// Where every module is taken: `slots` [batch, tokens, modules, att_hidden + 2 · size] hold each module's queries and
/// its own key and value. The modules are the heads of keys, their queries the slots. Normed and clipped as the form
/// says; weights of the norms are [size] for QkNorm::head, of all modules side by side for QkNorm::whole.
Heads own_heads(const ModelConfig& config, const at::Tensor& slots, const at::Tensor& query_norm,
                const at::Tensor& key_norm);

/// What the queries read, [batch, tokens, slots, heads, size]. Positions are turned, then keys and values go into the
/// cache (null = there is none), which gives all there are.
at::Tensor read_heads(const ModelConfig& config, std::size_t layer, Heads heads,
                      const std::optional<kernels::RotaryTable>& rotary, const std::optional<at::Tensor>& key_mask,
                      KeyValueCache* cache);

/// read_heads() as the modules' second maps take it: [batch · tokens, modules, att_hidden].
at::Tensor attend(const ModelConfig& config, std::size_t layer, Heads heads,
                  const std::optional<kernels::RotaryTable>& rotary, const std::optional<at::Tensor>& key_mask,
                  KeyValueCache* cache);

/// attend() where the tokens, a batch of one, are those of `parts`, one after the other: each reads its own cache
/// alone.
at::Tensor attend(const ModelConfig& config, std::size_t layer, Heads heads,
                  const std::optional<kernels::RotaryTable>& rotary, std::span<const TextPart> parts);

}  // namespace mformer
