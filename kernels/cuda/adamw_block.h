#pragma once

#include <cmath>

#include "kernels/cuda/block.h"
#include "kernels/cuda/launch.h"

// AdamW in one pass over memory, many tensors a launch: pieces of weights, each of one tensor.

namespace mformer::kernels::cuda {

inline constexpr int kUpdateThreads = 256;

/// Block x: the x-th piece of all tensors.
template <class T, class Block>
MFORMER_HD void adamw_update(Block& block, const AdamW& a) {
  int which = 0;
  while (which + 1 < a.count && a.parts[which + 1].first_block <= block.index.x) ++which;
  const AdamW::Part& part = a.parts[which];
  const int64_t begin = (block.index.x - part.first_block) * AdamW::kWeightsPerBlock;
  const int64_t end = least(part.weights, begin + AdamW::kWeightsPerBlock);
  auto* weight = static_cast<T*>(part.weight);
  const auto* gradient = static_cast<const T*>(part.gradient);
  block.each([&](int thread) {
    MFORMER_UNROLL_FOUR
    for (int64_t i = begin + thread; i < end; i += kUpdateThreads) {
      const float g = gradient == nullptr ? 0.0F : a.gradient_scale * to_float(gradient[i]);
      const float first = part.exp_avg[i] + a.part1 * (g - part.exp_avg[i]);
      const float second = a.beta2 * part.exp_avg_sq[i] + a.part2 * g * g;
      part.exp_avg[i] = first;
      part.exp_avg_sq[i] = second;
      assign(weight[i], part.kept * to_float(weight[i]) - a.rate * first / (sqrtf(second) * a.root_scale + a.epsilon));
    }
  });
}

}  // namespace mformer::kernels::cuda
