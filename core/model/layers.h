#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "core/model/forward.h"
#include "core/model/model.h"
#include "kernels/module_dispatch.h"

// The steps of forward(), for the files of this folder and their tests.
namespace mformer::layers {

/// LayerNorm with ε = 1e-5 always: the reference ignores layer_norm_epsilon, and published models were trained so.
at::Tensor layer_norm(const at::Tensor& x, const Affine& norm);

/// x [..., in] · weightᵀ + bias. With options.bfloat16 the product is taken, and returned, in bfloat16.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const ForwardOptions& options);

/// Inverted dropout, only in training; draws from options.generator.
at::Tensor dropout(const at::Tensor& x, double probability, const ForwardOptions& options);

/// The activation that the config names, as transformers defines it.
at::Tensor activate(const std::string& name, const at::Tensor& x);

/// Σ over the chosen feed-forward modules of gate · W_outᵀ act(W_inᵀ x), for x [tokens, n_embd].
at::Tensor feed_forward(const ModelConfig& config, const ModuleBank& bank, const at::Tensor& x,
                        const ForwardOptions& options, BankTrace& trace);

/// Stick-breaking attention of block `layer` on x [batch, tokens, n_embd]. `key_mask` [batch, keys], bool, or
/// undefined.
at::Tensor attention(const ModelConfig& config, const Block& block, std::size_t layer, const at::Tensor& x,
                     const at::Tensor& key_mask, const ForwardOptions& options, BankTrace& trace);

/// rows [tokens · k, in] through each module's map `which` (&Module::in or &Module::out).
at::Tensor through_modules(const at::Tensor& rows, const ModuleBank& bank, at::Tensor Module::*which,
                           const kernels::ModuleDispatch& dispatch, const ForwardOptions& options);

/// ‖row‖ of each slot: rows [tokens · k, n_embd] → [tokens, k].
at::Tensor norms_by_slot(const at::Tensor& rows, const kernels::ModuleDispatch& dispatch);

}  // namespace mformer::layers
