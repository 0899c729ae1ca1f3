#include "kernels/cpu/linear_cross_entropy.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/exponentials.h"
#include "kernels/cpu/matrix_products.h"
#include "kernels/cpu/tasks.h"
#include "kernels/linear_cross_entropy.h"

namespace mformer::kernels::cpu {
namespace {

using Order = RightMatrix::Order;

/// One chunk's tokens; `x` and `dx` are of `dtype`.
struct Chunk {
  int64_t tokens;
  const void* x;
  const int64_t* targets;
  float* logits;
  float* losses;
};

/// Losses of a chunk, and if `gradient` the gradient of Σ scale · loss with respect to its logits, in `to` (which may
/// be the logits themselves).
template <typename To>
void loss_rows(const Chunk& chunk, int64_t vocab, float scale, bool gradient, To* to) {
  for_each_task(chunk.tokens, 20 * chunk.tokens * vocab, [&](int64_t t) {
    float* row = chunk.logits + t * vocab;
    const int64_t target = chunk.targets[t];
    const bool counted = target != kIgnoredTarget;
    const float of_target = counted ? row[target] : 0.0F;
    float inverse = 0;
    const float log_sum = exponentials(row, vocab, inverse);
    chunk.losses[t] = counted ? log_sum - of_target : 0.0F;
    if (!gradient) return;
    const float factor = counted ? scale * inverse : 0.0F;
    const float at_target = counted ? factor * row[target] - scale : 0.0F;
    scaled(row, vocab, factor, to + t * vocab);
    if (counted) to[t * vocab + target] = at_target;
  });
}

class Pass {
 public:
  Pass(const at::Tensor& hidden, const at::Tensor& weight, at::Tensor& dh, at::Tensor& dw)
      : hidden_(hidden),
        dh_(dh),
        dw_(dw),
        dtype_(hidden.scalar_type()),
        vocab_(weight.size(0)),
        in_(hidden.size(1)),
        rows_{weight.const_data_ptr(), weight.scalar_type(), vocab_, in_, Order::rows} {
    // Every chunk multiplies by the same weights: packed once.
    panels_ = at::empty({panels_bytes(in_, vocab_, dtype_)}, at::kByte);
    write_panels({weight.const_data_ptr(), weight.scalar_type(), in_, vocab_, Order::transposed}, dtype_,
                 panels_.mutable_data_ptr());
    logits_ = at::empty({tokens_per_chunk(hidden.size(0), vocab_), vocab_}, at::kFloat);
    if (dtype_ == at::kBFloat16 && gradient()) gradients_ = at::empty_like(logits_, dtype_);
  }

  bool gradient() const { return dh_.defined() || dw_.defined(); }

  void run(int64_t first, int64_t tokens, const int64_t* targets, float scale, float* losses) {
    const Chunk chunk{tokens, row(hidden_, first), targets + first, logits_.mutable_data_ptr<float>(), losses + first};
    // bfloat16 products are summed in float32; the logits stay so.
    products(dtype_, {{chunk.x,
                       tokens,
                       {panels_.const_data_ptr(), dtype_, in_, vocab_, Order::panels},
                       chunk.logits,
                       nullptr,
                       /*float32=*/true}});
    const void* dz = chunk.logits;
    if (gradients_.defined()) {
      loss_rows(chunk, vocab_, scale, true, gradients_.mutable_data_ptr<c10::BFloat16>());
      dz = gradients_.const_data_ptr();
    } else {
      loss_rows(chunk, vocab_, scale, gradient(), chunk.logits);
    }
    if (dh_.defined()) products(dtype_, {{dz, tokens, rows_, row(dh_, first)}});
    if (dw_.defined()) {
      outer_products(dtype_, {{dz, chunk.x, tokens, vocab_, in_, dw_.mutable_data_ptr<float>(), first > 0}});
    }
  }

 private:
  static char* row(const at::Tensor& x, int64_t index) {
    return static_cast<char*>(x.data_ptr()) + index * x.size(1) * static_cast<int64_t>(x.element_size());
  }

  const at::Tensor& hidden_;
  at::Tensor &dh_, &dw_;
  at::ScalarType dtype_;
  int64_t vocab_, in_;
  RightMatrix rows_;
  at::Tensor panels_, logits_, gradients_;
};

}  // namespace

at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                                int64_t divisor, at::Tensor& dh, at::Tensor& dw) {
  const int64_t tokens = hidden.size(0), step = tokens_per_chunk(tokens, weight.size(0));
  const auto* target = targets.const_data_ptr<int64_t>();
  const float scale = 1.0F / static_cast<float>(divisor);
  at::Tensor losses = at::empty({tokens}, at::kFloat);
  if (tokens == 0) return losses;
  Pass pass(hidden, weight, dh, dw);
  for (int64_t first = 0; first < tokens; first += step) {
    pass.run(first, std::min(step, tokens - first), target, scale, losses.mutable_data_ptr<float>());
  }
  return losses;
}

}  // namespace mformer::kernels::cpu
