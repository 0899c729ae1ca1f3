#pragma once

#include <cmath>

#include "kernels/cuda/block.h"
#include "kernels/cuda/launch.h"

// The router: 32 rows a block of 128 threads, which read and write them together; each row is one thread's.

namespace mformer::kernels::cuda {

inline constexpr int kRouterThreads = 128;
inline constexpr int kRowsPerBlock = 32;

struct RouterShared {
  float p[kRowsPerBlock][kMostModules + 1];  // rows begin in different banks
};

/// The next of a row's modules by descending probability, the first of equals first; `before` came last, −1: none.
MFORMER_HD int next_choice(const float* p, int modules, int before) {
  const float limit = before < 0 ? INFINITY : p[before];
  int best = -1;
  for (int m = 0; m < modules; ++m) {
    const bool later = p[m] < limit || (p[m] == limit && m > before);
    if (later && (best < 0 || p[m] > p[best])) best = m;
  }
  return most(best, 0);  // rows that are no numbers still name a module
}

/// x = softmax(x), by one thread.
MFORMER_HD void softmax_values(float* x, int count) {
  float largest = -INFINITY, sum = 0;
  for (int i = 0; i < count; ++i) largest = most(largest, x[i]);
  for (int i = 0; i < count; ++i) sum += x[i] = expf(x[i] - largest);
  for (int i = 0; i < count; ++i) x[i] /= sum;
}

/// Writes the token's choice, and the values of `p` there as gates.
MFORMER_HD void choose_row(const float* p, int modules, const Router& r, int64_t token) {
  int best = -1;
  for (int64_t choice = 0; choice < r.k; ++choice) {
    best = next_choice(p, modules, best);
    r.gates[token * r.k + choice] = p[best];
    r.chosen[token * r.k + choice] = best;
  }
}

/// Calls copy(index in memory, place in shared) for the rows of this block, all threads together.
template <class Copy>
MFORMER_HD void for_each_value(int thread, int64_t first, int64_t tokens, int modules, const Copy& copy) {
  const int count = static_cast<int>(least<int64_t>(kRowsPerBlock, tokens - first)) * modules;
  for (int i = thread; i < count; i += kRouterThreads) copy(first * modules + i, i / modules, i % modules);
}

template <class Block>
MFORMER_HD void router_forward(Block& block, RouterShared& shared, const Router& r) {
  const int64_t first = block.index.x * kRowsPerBlock;
  const int modules = static_cast<int>(r.modules);
  block.each([&](int thread) {
    for_each_value(thread, first, r.tokens, modules,
                   [&](int64_t at, int row, int m) { shared.p[row][m] = r.logits[at]; });
  });
  block.each([&](int thread) {
    const int64_t token = first + thread;
    if (thread >= kRowsPerBlock || token >= r.tokens) return;
    float* p = shared.p[thread];
    float* gates = r.gates + token * r.k;
    if (r.top_k_first) choose_row(p, modules, r, token);
    softmax_values(p, modules);
    if (r.top_k_first) {
      softmax_values(gates, static_cast<int>(r.k));
      return;
    }
    choose_row(p, modules, r, token);
    if (!r.renormalise) return;
    float sum = 0;
    for (int64_t choice = 0; choice < r.k; ++choice) sum += gates[choice];
    for (int64_t choice = 0; choice < r.k; ++choice) gates[choice] /= sum;
  });
  block.each([&](int thread) {
    for_each_value(thread, first, r.tokens, modules, [&](int64_t at, int row, int m) { r.p[at] = shared.p[row][m]; });
  });
}

/// dlogits = p · (dp − Σ p · dp), the gates' gradients added to dp in their places.
template <class Block>
MFORMER_HD void router_backward(Block& block, RouterShared& shared, const RouterBackward& r) {
  const int64_t first = block.index.x * kRowsPerBlock;
  const int modules = static_cast<int>(r.modules);
  block.each([&](int thread) {
    for_each_value(thread, first, r.tokens, modules,
                   [&](int64_t at, int row, int m) { shared.p[row][m] = r.grad_p == nullptr ? 0.0F : r.grad_p[at]; });
  });
  block.each([&](int thread) {
    const int64_t token = first + thread;
    if (thread >= kRowsPerBlock || token >= r.tokens) return;
    float* dp = shared.p[thread];
    const int64_t begin = token * r.k, end = r.grad_gates == nullptr ? begin : begin + r.k;
    for (int64_t slot = begin; r.unit_gates == nullptr && slot < end; ++slot) {
      dp[r.chosen[slot]] += r.grad_gates[slot];
    }
    float sum = 0;
    for (int m = 0; m < modules; ++m) sum += r.p[token * modules + m] * dp[m];
    for (int m = 0; m < modules; ++m) dp[m] = r.p[token * modules + m] * (dp[m] - sum);
    if (r.unit_gates == nullptr) return;
    // Gates that sum to 1 are a softmax of their own.
    float of_gates = 0;
    for (int64_t slot = begin; slot < end; ++slot) of_gates += r.unit_gates[slot] * r.grad_gates[slot];
    for (int64_t slot = begin; slot < end; ++slot) {
      dp[r.chosen[slot]] += r.unit_gates[slot] * (r.grad_gates[slot] - of_gates);
    }
  });
  block.each([&](int thread) {
    for_each_value(thread, first, r.tokens, modules,
                   [&](int64_t at, int row, int m) { r.grad_logits[at] = shared.p[row][m]; });
  });
}

}  // namespace mformer::kernels::cuda
