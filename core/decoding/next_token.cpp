#include "core/decoding/next_token.h"

#include <ATen/ops/multinomial.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>

#include <algorithm>
#include <cmath>

#include "modules_registry/error.h"

namespace mformer {

std::int64_t draw_token(const at::Tensor& logits, const Sampling& how, std::int64_t tokens, at::Generator& generator) {
  const at::Tensor real = logits.narrow(0, 0, std::min<std::int64_t>(tokens, logits.size(0))).to(at::kCPU, at::kDouble);
  const at::Tensor most = real.max();  // not a number when one of them is not
  if (!std::isfinite(most.item<double>())) {
    throw Error("the model's logits are not finite numbers, so there is no next token",
                "weights that are not finite (of a training that went astray) do that: mformer undo goes back; "
                "--dtype float32 helps where bfloat16 was too narrow");
  }
  if (how.temperature == 0.0) return real.argmax().item<std::int64_t>();
  // Counted from the largest on, the logits can't overflow however small the temperature is: it stays 0.
  auto [sorted, order] = at::sort(at::softmax((real - most) / how.temperature, 0), 0, /*descending=*/true);
  std::int64_t kept = sorted.size(0);
  if (how.top_k > 0) kept = std::min(kept, how.top_k);
  if (how.top_p < 1.0) {
    const at::Tensor before = sorted.cumsum(0) - sorted;
    kept = std::min(kept, std::max<std::int64_t>(1, before.lt(how.top_p).sum().item<std::int64_t>()));
  }
  const at::Tensor choice = at::multinomial(sorted.narrow(0, 0, kept), 1, false, generator);
  return order[choice.item<std::int64_t>()].item<std::int64_t>();
}

}  // namespace mformer
