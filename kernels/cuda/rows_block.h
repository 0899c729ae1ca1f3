#pragma once

#include <cmath>

#include "kernels/cuda/block.h"
#include "kernels/cuda/launch.h"

// RMSNorm, rotary positions and gated activations: passes over rows, a row or a piece of one a block. Values are read
// and written once; sums of a row go through shared memory in a fixed tree.

namespace mformer::kernels::cuda {

inline constexpr int kRowThreads = 256;

struct RowShared {
  float sums[kRowThreads];
};

/// Σ of what the threads left in shared.sums, in sums[0].
template <class Block>
MFORMER_HD void add_up(Block& block, RowShared& shared) {
  for (int half = kRowThreads / 2; half > 0; half /= 2) {
    block.each([&](int thread) {
      if (thread < half) shared.sums[thread] += shared.sums[thread + half];
    });
  }
}

/// Block x: row x.
template <class T, class Block>
MFORMER_HD void rms_norm_forward(Block& block, RowShared& shared, const RmsNorm& n) {
  const auto* x = static_cast<const T*>(n.x) + block.index.x * n.width;
  block.each([&](int thread) {
    float sum = 0;
    for (int64_t i = thread; i < n.width; i += kRowThreads) sum += to_float(x[i]) * to_float(x[i]);
    shared.sums[thread] = sum;
  });
  add_up(block, shared);
  block.each([&](int thread) {
    const float scale = 1.0F / sqrtf(shared.sums[0] / static_cast<float>(n.width) + n.epsilon);
    auto* y = static_cast<T*>(n.y) + block.index.x * n.width;
    for (int64_t i = thread; i < n.width; i += kRowThreads) assign(y[i], to_float(x[i]) * scale * n.weight[i]);
    if (thread == 0) n.scale[block.index.x] = scale;
  });
}

/// Block x: row x. With g = weight · dy: dx = s · (g − x s² · mean of g x).
template <class T, class Block>
MFORMER_HD void rms_norm_backward_rows(Block& block, RowShared& shared, const RmsNormBackward& n) {
  const int64_t first = block.index.x * n.width;
  const auto *x = static_cast<const T*>(n.x) + first, *grad = static_cast<const T*>(n.grad) + first;
  block.each([&](int thread) {
    float sum = 0;
    for (int64_t i = thread; i < n.width; i += kRowThreads) sum += to_float(grad[i]) * n.weight[i] * to_float(x[i]);
    shared.sums[thread] = sum;
  });
  add_up(block, shared);
  block.each([&](int thread) {
    const float scale = n.scale[block.index.x];
    const float share = shared.sums[0] / static_cast<float>(n.width) * scale * scale;
    auto* grad_x = static_cast<T*>(n.grad_x) + first;
    for (int64_t i = thread; i < n.width; i += kRowThreads) {
      assign(grad_x[i], scale * (to_float(grad[i]) * n.weight[i] - to_float(x[i]) * share));
    }
  });
}

/// Block (x, y): kRowThreads columns of piece y of the rows: Σ dy · x · s.
template <class T, class Block>
MFORMER_HD void rms_norm_backward_piece(Block& block, const RmsNormBackward& n) {
  const int64_t first = block.index.y * RmsNormBackward::kRowsPerPiece;
  const int64_t end = least(n.rows, first + RmsNormBackward::kRowsPerPiece);
  const auto *x = static_cast<const T*>(n.x), *grad = static_cast<const T*>(n.grad);
  block.each([&](int thread) {
    const int64_t column = block.index.x * kRowThreads + thread;
    if (column >= n.width) return;
    float sum = 0;
    for (int64_t row = first; row < end; ++row) {
      sum += to_float(grad[row * n.width + column]) * to_float(x[row * n.width + column]) * n.scale[row];
    }
    n.sums[block.index.y * n.width + column] = sum;
  });
}

/// Block x: kRowThreads columns of the sums of all pieces.
template <class Block>
MFORMER_HD void rms_norm_backward_weight(Block& block, const RmsNormBackward& n) {
  block.each([&](int thread) {
    const int64_t column = block.index.x * kRowThreads + thread;
    if (column >= n.width) return;
    float sum = 0;
    for (int64_t piece = 0; piece < n.pieces(); ++piece) sum += n.sums[piece * n.width + column];
    n.grad_weight[column] = sum;
  });
}

/// Block x: token x of all batch rows.
template <class T, class Block>
MFORMER_HD void rotate_token(Block& block, const Rotation& r) {
  const float *cos = r.cos + block.index.x % r.tokens * r.half, *sin = r.sin + block.index.x % r.tokens * r.half;
  const int64_t first = block.index.x * r.heads * 2 * r.half;
  const auto* x = static_cast<const T*>(r.x) + first;
  auto* y = static_cast<T*>(r.y) + first;
  block.each([&](int thread) {
    for (int64_t pair = thread; pair < r.heads * r.half; pair += kRowThreads) {
      const int64_t i = pair % r.half, at = pair / r.half * 2 * r.half + i;
      const float a = to_float(x[at]), b = to_float(x[at + r.half]), s = r.inverse ? -sin[i] : sin[i];
      assign(y[at], a * cos[i] - b * s);
      assign(y[at + r.half], b * cos[i] + a * s);
    }
  });
}

/// σ(x) and σ(−x), each to full relative accuracy.
struct BothSigmoids {
  float here, opposite;
};
MFORMER_HD BothSigmoids both_sigmoids(float x) {
  const float e = expf(x < 0 ? x : -x), large = 1.0F / (1.0F + e), small = e / (1.0F + e);
  return x < 0 ? BothSigmoids{small, large} : BothSigmoids{large, small};
}

struct ValueAndSlope {
  float value, slope;
};

/// An activation and its slope at x; beyond ±60 slopes are constant in float32, while their parts may overflow.
MFORMER_HD ValueAndSlope activation_at(Activation activation, float x) {
  const float v = least(most(x, -60.0F), 60.0F);
  switch (activation) {
    case Activation::gelu_tanh: {
      constexpr float kFactor = 1.5957691216057308F;  // 2 · √(2/π): 1 + tanh(u) = 2 · σ(2u)
      const BothSigmoids s = both_sigmoids(kFactor * (v + 0.044715F * v * v * v));
      return {x * s.here, s.here + v * s.here * s.opposite * kFactor * (1.0F + 0.134145F * v * v)};
    }
    case Activation::gelu: {
      const float normal = 0.5F * erfcf(-v * 0.70710678118654752F);
      return {x * normal, normal + v * 0.39894228040143268F * expf(-0.5F * v * v)};
    }
    case Activation::relu:
      return {x > 0 ? x : 0.0F, x > 0 ? 1.0F : 0.0F};
    case Activation::silu: {
      const BothSigmoids s = both_sigmoids(x);
      return {x * s.here, s.here + v * s.here * s.opposite};
    }
    case Activation::tanh: {
      const float y = tanhf(x);
      return {y, 1.0F - y * y};
    }
  }
  return {};
}

/// Block x: row x.
template <class T, class Block>
MFORMER_HD void gate_row(Block& block, const Gated& g) {
  const auto* gate = static_cast<const T*>(g.x) + block.index.x * 2 * g.hidden;
  auto* y = static_cast<T*>(g.y) + block.index.x * g.hidden;
  block.each([&](int thread) {
    for (int64_t i = thread; i < g.hidden; i += kRowThreads) {
      assign(y[i], activation_at(g.activation, to_float(gate[i])).value * to_float(gate[g.hidden + i]));
    }
  });
}

/// Block x: row x.
template <class T, class Block>
MFORMER_HD void gate_row_backward(Block& block, const GatedBackward& g) {
  const auto* gate = static_cast<const T*>(g.x) + block.index.x * 2 * g.hidden;
  const auto* grad = static_cast<const T*>(g.grad) + block.index.x * g.hidden;
  auto* grad_gate = static_cast<T*>(g.grad_x) + block.index.x * 2 * g.hidden;
  block.each([&](int thread) {
    for (int64_t i = thread; i < g.hidden; i += kRowThreads) {
      const float dy = to_float(grad[i]);
      const ValueAndSlope f = activation_at(g.activation, to_float(gate[i]));
      assign(grad_gate[i], dy * to_float(gate[g.hidden + i]) * f.slope);
      assign(grad_gate[g.hidden + i], dy * f.value);
    }
  });
}

}  // namespace mformer::kernels::cuda
