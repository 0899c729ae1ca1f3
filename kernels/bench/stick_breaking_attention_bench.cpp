// Stick-breaking attention: forward, forward and backward, decoding. Arguments: batch, tokens (cached keys when
// decoding), k, heads, head size. `Lasting` sticks reach the first key, so that every tile is computed; the others are
// random and run out after some hundred keys, which the kernel skips.
// GFLOP/s count the products of the visible pairs of query and key: 4 · head size a pair forward, 10 more backward.

#include "kernels/stick_breaking_attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "kernels/bench/peak.h"

namespace mformer::kernels {
namespace {

struct Inputs {
  at::Tensor query, key, value;
};

/// Scores about N(0, 1); with `lasting` about −7, so that a stick loses a thousandth at a key.
Inputs random_inputs(const benchmark::State& state, int64_t tokens, at::ScalarType dtype, bool lasting) {
  at::manual_seed(1);
  const int64_t batch = state.range(0), keys = state.range(1), k = state.range(2), heads = state.range(3),
                head_size = state.range(4);
  at::Tensor query = at::randn({batch, tokens, k, heads, head_size});
  at::Tensor key = at::randn({batch, keys, heads, head_size});
  if (lasting) {
    query.select(-1, 0).fill_(7.0);
    key.select(-1, 0).fill_(-std::sqrt(static_cast<double>(head_size)));
  }
  return {query.to(dtype), key.to(dtype), at::randn({batch, keys, heads, head_size}).to(dtype)};
}

/// Pairs of a query row and a key that it sees.
double visible_pairs(const benchmark::State& state) {
  const double tokens = state.range(1);
  return static_cast<double>(state.range(0) * state.range(2) * state.range(3)) * tokens * (tokens + 1) / 2;
}

void report_pairs(benchmark::State& state, double operations) {
  const double rate = operations * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(rate / 1e9, benchmark::Counter::kIsRate);
  state.counters["of_peak"] = benchmark::Counter(rate / bench::float32_peak(), benchmark::Counter::kIsRate);
}

void forward(benchmark::State& state, at::ScalarType dtype, bool lasting) {
  const at::NoGradGuard no_grad;
  const Inputs in = random_inputs(state, state.range(1), dtype, lasting);
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(stick_breaking_attention(in.query, in.key, in.value));
  report_pairs(state, 4 * state.range(4) * visible_pairs(state));
}

void forward_backward(benchmark::State& state, at::ScalarType dtype, bool lasting) {
  const Inputs in = random_inputs(state, state.range(1), dtype, lasting);
  for (const at::Tensor& leaf : {in.query, in.key, in.value}) leaf.set_requires_grad(true);
  const at::Tensor grad = at::randn_like(in.query);
  for ([[maybe_unused]] auto _ : state) {
    stick_breaking_attention(in.query, in.key, in.value).backward(grad);
    for (const at::Tensor& leaf : {in.query, in.key, in.value}) leaf.mutable_grad().reset();
  }
  report_pairs(state, 14 * state.range(4) * visible_pairs(state));
}

/// One token against a cache that is a view of a larger room. A dozen caches in turn, as many layers would have, so
/// that they come from memory.
void decode(benchmark::State& state, at::ScalarType dtype, bool lasting) {
  const at::NoGradGuard no_grad;
  const int64_t keys = state.range(1);
  std::vector<Inputs> layers;
  for (int layer = 0; layer < 12; ++layer) {
    Inputs in = random_inputs(state, 1, dtype, lasting);
    // [batch, heads, positions, head_size] in memory, as the model's cache has it.
    const auto in_room = [&](const at::Tensor& x) {
      return at::cat({x, x}, 1).transpose(1, 2).contiguous().transpose(1, 2).narrow(1, 0, keys);
    };
    layers.push_back({in.query, in_room(in.key), in_room(in.value)});
  }
  std::size_t layer = 0;
  for ([[maybe_unused]] auto _ : state) {
    const Inputs& in = layers[layer++ % layers.size()];
    benchmark::DoNotOptimize(stick_breaking_attention(in.query, in.key, in.value));
  }
  const auto bytes = static_cast<double>(2 * layers[0].key.numel() * layers[0].key.element_size());
  state.counters["GB/s"] =
      benchmark::Counter(bytes * static_cast<double>(state.iterations()) / 1e9, benchmark::Counter::kIsRate);
}

void training_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"batch", "tokens", "k", "heads", "head_size"});
  b->Args({4, 512, 2, 4, 64})->Args({1, 2048, 2, 4, 64})->Args({1, 8192, 2, 4, 64})->Args({4, 512, 2, 16, 64});
  b->UseRealTime()->Unit(benchmark::kMillisecond);
}

void decoding_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"batch", "keys", "k", "heads", "head_size"});
  b->Args({1, 512, 2, 16, 64})->Args({1, 4096, 2, 16, 64})->Args({16, 512, 2, 16, 64});
  b->UseRealTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(forward, float32_lasting, at::kFloat, true)->Apply(training_sizes);
BENCHMARK_CAPTURE(forward, float32, at::kFloat, false)->Apply(training_sizes);
BENCHMARK_CAPTURE(forward, bfloat16_lasting, at::kBFloat16, true)->Apply(training_sizes);
BENCHMARK_CAPTURE(forward_backward, float32_lasting, at::kFloat, true)->Apply(training_sizes);
BENCHMARK_CAPTURE(forward_backward, float32, at::kFloat, false)->Apply(training_sizes);
BENCHMARK_CAPTURE(forward_backward, bfloat16_lasting, at::kBFloat16, true)->Apply(training_sizes);
BENCHMARK_CAPTURE(decode, float32_lasting, at::kFloat, true)->Apply(decoding_sizes);
BENCHMARK_CAPTURE(decode, bfloat16_lasting, at::kBFloat16, true)->Apply(decoding_sizes);
BENCHMARK_CAPTURE(decode, bfloat16, at::kBFloat16, false)->Apply(decoding_sizes);

}  // namespace
}  // namespace mformer::kernels
