#pragma once

#include <ATen/core/Tensor.h>

#include "core/model/model.h"

namespace mformer {

/// Knowledge distillation (Hinton et al. 2015, arXiv 1503.02531): with p and q the softmax of the teacher's and the
/// student's logits divided by the temperature T,
///
///     T² · Σ over the tokens that count of  Σ_v p_v · (log p_v − log q_v)  / divisor
///
/// in nats per token; T² keeps the size of the gradients when T changes. Differentiable in `hidden` and in the
/// student's lm_head; nothing flows to the teacher.
///
/// - hidden, teacher_hidden: [batch, tokens, width] of the two on the same tokens, as forward() gives them.
/// - targets: [batch, tokens], int64; −100 = the token does not count. Without any that counts the loss is 0.
/// - divisor: at least 1; how many tokens count in all that is averaged over, as in cross_entropy().
/// - temperature: > 0.
///
/// Logits are made, used and forgotten some hundred tokens at a time, and only of tokens that count, so memory does not
/// grow with tokens · vocabulary. They are taken in the dtype of the heads, and their softmax in float32 at least. The
/// result does not depend on the number of threads. Throws Error if the vocabularies differ in size.
at::Tensor distillation_loss(const Model& student, const at::Tensor& hidden, const Model& teacher,
                             const at::Tensor& teacher_hidden, const at::Tensor& targets, double temperature,
                             std::int64_t divisor);

}  // namespace mformer
