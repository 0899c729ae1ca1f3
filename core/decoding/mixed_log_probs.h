#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

namespace mformer {

/// ln Σ w · p, the prediction of a mixture: `log_probs` of each hypothesis, all of one shape, by its weight. Those that
/// are undefined are left out, as hypotheses that were given up.
at::Tensor mixed_log_probs(std::span<const at::Tensor> log_probs, const std::vector<double>& weights);

}  // namespace mformer
