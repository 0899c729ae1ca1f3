#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "core/model/expert_parallel.h"
#include "core/model/forward.h"
#include "core/model/model.h"
#include "kernels/activation.h"
#include "kernels/module_dispatch.h"
#include "kernels/recomputed.h"
#include "kernels/rotary.h"

// The steps of forward(), for the files of this folder and their tests.
namespace mformer::layers {

/// The norm of the form. `eps` is the form's block_eps or final_eps: of a ModuleFormer 1e-5 always, since the reference
/// ignores layer_norm_epsilon, and published models were trained so.
at::Tensor norm(NormKind kind, const at::Tensor& x, const Affine& norm, double eps);

/// x [..., in] · weightᵀ + bias. With options.bfloat16 the product is taken, and returned, in bfloat16.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const ForwardOptions& options);

/// x [n, ...], n a multiple of the batch's rows, as it would lie among those of all processes: [all n, ...], filled
/// with `filling` beside it; and back. By options.share.
at::Tensor among_all(const at::Tensor& x, double filling, const ForwardOptions& options);
at::Tensor own_of_all(const at::Tensor& all, const ForwardOptions& options);

/// Inverted dropout, only in training; draws from options.generator.
at::Tensor dropout(const at::Tensor& x, double probability, const ForwardOptions& options);

/// What the maps of a bank read, and how the backward pass makes it again (kernels/recomputed.h).
struct BankInput {
  at::Tensor values;
  kernels::Recomputed again{};
};

/// norm() of the residual stream x [..., n_embd] as a part of a block reads it. Where every module is taken nothing
/// else reads it again, and it is made again from x.
BankInput normed(const ModelConfig& config, const at::Tensor& x, const Affine& weights, const ModuleBank& bank,
                 const ForwardOptions& options);

/// The activation, as transformers defines it.
at::Tensor activate(kernels::Activation kind, const at::Tensor& x);

/// Σ over the chosen feed-forward modules of gate · W_outᵀ act(W_inᵀ x), for x [batch, tokens, n_embd], and what the
/// block's shared expert and bias add: [batch · tokens, n_embd].
at::Tensor feed_forward(const ModelConfig& config, const Block& block, const BankInput& x,
                        const ForwardOptions& options, BankTrace& trace);

/// Where the tokens of a pass stand.
struct Positions {
  at::Tensor key_mask;                         ///< [batch, keys], bool, or undefined.
  std::optional<kernels::RotaryTable> rotary;  ///< Of these tokens; absent where the form has no positions.
};

/// The attention modules of block `layer` on x [batch, tokens, n_embd], gated and added up.
at::Tensor attention(const ModelConfig& config, const Block& block, std::size_t layer, const BankInput& input,
                     const Positions& positions, const ForwardOptions& options, BankTrace& trace);

/// Which rows go to which of the bank's modules.
struct Dispatch : kernels::ModuleDispatch {
  std::optional<RowExchange> exchange;  ///< Where the bank is spread over processes.
};
Dispatch dispatch_of(const ModuleBank& bank, const RouterDecision& decision);

/// rows [tokens · k, width] of this process's tokens, sorted by module, as the rows that its modules take: the same
/// unless the bank is spread over processes.
BankInput at_modules(const BankInput& rows, const Dispatch& dispatch);

/// The reverse: what the modules here put out, as the rows of this process's tokens.
at::Tensor at_tokens(const at::Tensor& rows, const Dispatch& dispatch);

/// at_modules() [rows, in] (of an unrouted bank: the tokens' own rows will do) through each module's first map.
at::Tensor through_first_maps(const BankInput& rows, const ModuleBank& bank, const Dispatch& dispatch,
                              const ForwardOptions& options);

/// at_modules() [rows, hidden] through the second maps, at_tokens(), gated and added up, [tokens, n_embd]; traces the
/// norms that options ask for.
at::Tensor through_second_maps(const BankInput& rows, const ModuleBank& bank, const Dispatch& dispatch,
                               const ForwardOptions& options, BankTrace& trace);

/// rows [tokens · modules, columns] of an unrouted bank plus its modules' in_bias, where they have one.
at::Tensor with_module_biases(const at::Tensor& rows, const ModuleBank& bank);

/// x [..., n_embd] plus `bias`, where it is defined.
at::Tensor with_bias(const at::Tensor& x, const at::Tensor& bias);

}  // namespace mformer::layers
