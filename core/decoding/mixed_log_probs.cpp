#include "core/decoding/mixed_log_probs.h"

namespace mformer {

at::Tensor mixed_log_probs(std::span<const at::Tensor> log_probs, const std::vector<double>& weights) {
  at::Tensor sum;
  for (std::size_t h = 0; h < log_probs.size(); ++h) {
    if (!log_probs[h].defined()) continue;
    const at::Tensor part = log_probs[h].exp() * weights[h];
    sum = sum.defined() ? sum + part : part;
  }
  return sum.log();
}

}  // namespace mformer
