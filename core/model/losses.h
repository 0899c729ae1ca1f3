#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/model/forward.h"
#include "core/parallel/process_group.h"

namespace mformer {

/// The processes that share a batch: what is a mean over tokens is one over the tokens of all of them. What depends on
/// it has the same value everywhere; the gradient of every process is that of its own tokens, and theirs add up to the
/// whole batch's.
struct WholeBatch {
  ProcessGroup* group = nullptr;  ///< Null: there is one process.
  std::int64_t tokens = 0;        ///< Of all processes; not read without a group.
};

/// Mutual-information balance loss of one router: H(p | x) − H(p̄), p̄ the mean of p over the tokens, 1e-8 inside the
/// log of the marginal entropy. Minimising it maximises the mutual information of tokens and modules
/// (arXiv 2306.04640, section 3.3). The entropy of a mean is no mean of entropies, so the decision must hold all tokens
/// of a step, or `whole` say who has the others. Returns a scalar.
at::Tensor mutual_information_loss(const RouterDecision& decision);

/// Switch-style balance loss (arXiv 2101.03961 with the reference's normalisation):
/// N · Σ normalised mean p · normalised hit share + 0.1 · mean logsumexp(logits)².
at::Tensor switch_loss(const RouterDecision& decision);

/// The balance loss of the families that transformers has, one number over all routers of all layers:
/// N · Σ_m f_m p_m, f_m the share of (token, router) pairs that take module m, so that they sum to k, and p_m the mean
/// of its probability. `counted` [tokens], bool, leaves tokens out (padding); undefined = all count. Routers with other
/// numbers of modules N (after pruning, say) have a sum of their own each, and the result is the mean over all routers.
at::Tensor joint_loss(const std::vector<BlockTrace>& routing, const at::Tensor& counted);

/// The one that config.aux_loss_type names, for one router.
at::Tensor balance_loss(const ModelConfig& config, const RouterDecision& decision);

/// Its sum over all layers and both kinds, or the joint loss, which alone leaves tokens out. 0 without any router.
at::Tensor balance_loss(const ModelConfig& config, const std::vector<BlockTrace>& routing,
                        const at::Tensor& counted = {});

/// The same of a batch that several processes share, where all tokens count; 0 without any router. One exchange.
at::Tensor balance_loss(const ModelConfig& config, const std::vector<BlockTrace>& routing, const WholeBatch& whole);

/// Load concentration for finetuning, mformer's own: the marginal term turned round,
/// Σ over routers of  sharpness · H(p | x) + concentration · H(p̄), so that a task settles on few modules.
at::Tensor concentration_loss(const std::vector<BlockTrace>& routing, double sharpness, double concentration,
                              const WholeBatch& whole = {});

/// How many targets count: those that are not −100.
std::int64_t counted(const at::Tensor& targets);

/// Mean cross-entropy, nats per token, over targets that are not −100; 0 without any. logits [..., vocab], targets
/// [...], int64.
at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& targets);

/// The sum of the cross-entropies, nats, over targets that are not −100, divided by `divisor` (at least 1), which is
/// how many count in all that is averaged over: in these targets, or in all batches of a step. From hidden [batch,
/// tokens, n_embd], targets [batch, tokens], without ever holding all logits. Here and below targets and ids may lie on
/// the CPU whatever the model's device.
at::Tensor cross_entropy(const Model& model, const at::Tensor& hidden, const at::Tensor& targets, bool bfloat16,
                         std::int64_t divisor);

/// Cross-entropy of each token, [batch · tokens], 0 where the target is −100; without gradients.
at::Tensor token_losses(const Model& model, const at::Tensor& hidden, const at::Tensor& targets, bool bfloat16);

/// The next-token loss as the reference takes it: labels = input_ids shifted by one inside, averaged over all
/// positions, padded ones too. logits [batch, tokens, vocab].
at::Tensor next_token_loss(const at::Tensor& logits, const at::Tensor& input_ids);

}  // namespace mformer
