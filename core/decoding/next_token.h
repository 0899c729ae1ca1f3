#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace mformer {

/// How a token is drawn from a distribution.
struct Sampling {
  double temperature = 1;  ///< Logits are divided by it; 0 = always the likeliest token.
  std::int64_t top_k = 0;  ///< Only among so many of the likeliest; 0 = no limit.
  double top_p = 1;        ///< Only among the likeliest that together have this probability; 1 = no limit.
};

/// Draws one of the first `tokens` ids from logits [vocab]: rows of the embedding beyond the tokenizer stand for
/// nothing. Throws Error where the logits are not finite numbers.
std::int64_t draw_token(const at::Tensor& logits, const Sampling& how, std::int64_t tokens, at::Generator& generator);

}  // namespace mformer
