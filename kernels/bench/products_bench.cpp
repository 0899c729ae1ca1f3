// Matrix products, cross-entropy, routers and the moves between them, at the sizes of the 68 M configuration (2,048
// tokens, k 2) and of MoLM-350M-4B. Products report the share of the measured float32 peak (bfloat16 may exceed 1),
// moves the share of the measured read bandwidth, each byte read or written counted once.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <benchmark/benchmark.h>

#include <vector>

#include "kernels/bench/peak.h"
#include "kernels/grouped_linear.h"
#include "kernels/linear.h"
#include "kernels/linear_cross_entropy.h"
#include "kernels/module_dispatch.h"
#include "kernels/packed_linear.h"
#include "kernels/softmax_top_k.h"

namespace mformer::kernels {
namespace {

using benchmark::Counter;

void report_operations(benchmark::State& state, double operations) {
  const double rate = operations * static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = Counter(rate / 1e9, Counter::kIsRate);
  state.counters["of_peak"] = Counter(rate / bench::float32_peak(), Counter::kIsRate);
}

void report_bytes(benchmark::State& state, double bytes) {
  const double rate = bytes * static_cast<double>(state.iterations());
  state.counters["GB/s"] = Counter(rate / 1e9, Counter::kIsRate);
  state.counters["of_read_bandwidth"] = Counter(rate / bench::read_bandwidth(), Counter::kIsRate);
}

/// Rows dealt out to modules unevenly, as routers do: module m gets about m + 1 shares.
std::vector<int64_t> uneven_groups(int64_t rows, int64_t modules) {
  std::vector<int64_t> offset{0};
  for (int64_t m = 1; m <= modules; ++m) offset.push_back(rows * m * (m + 1) / (modules * (modules + 1)));
  return offset;
}

std::vector<at::Tensor> random_weights(int64_t modules, int64_t in, int64_t out, bool trained) {
  std::vector<at::Tensor> weights;
  for (int64_t m = 0; m < modules; ++m) weights.push_back(at::randn({in, out}).requires_grad_(trained));
  return weights;
}

// Arguments: rows, modules, in, out.
void grouped(benchmark::State& state, at::ScalarType dtype, bool backward, bool frozen) {
  const int64_t rows = state.range(0), modules = state.range(1), in = state.range(2), out = state.range(3);
  const auto offset = uneven_groups(rows, modules);
  const auto weights = random_weights(modules, in, out, backward && !frozen);
  const at::Tensor x = at::randn({rows, in}, dtype).requires_grad_(backward), grad = at::randn({rows, out}, dtype);
  const auto panels = frozen ? c10::make_intrusive<FrozenPanels>() : c10::intrusive_ptr<FrozenPanels>();
  for ([[maybe_unused]] auto _ : state) {
    const at::AutoGradMode mode(backward);
    const at::Tensor y = grouped_linear(x, offset, weights, panels);
    if (backward) y.backward(grad);
    x.mutable_grad().reset();
    for (const at::Tensor& weight : weights) weight.mutable_grad().reset();
  }
  const double products = backward ? (frozen ? 2 : 3) : 1;
  report_operations(state, 2.0 * static_cast<double>(rows * in * out) * products);
}

void sizes_of_the_68_m_model(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMillisecond)->UseRealTime();
  b->Args({4096, 16, 256, 256})->Args({4096, 32, 256, 512})->Args({4096, 32, 512, 256});
}
void numbers_of_modules(benchmark::internal::Benchmark* b) {
  b->Unit(benchmark::kMillisecond)->UseRealTime();
  for (const int64_t modules : {8, 64, 256}) b->Args({4096, modules, 256, 512});
}
BENCHMARK_CAPTURE(grouped, forward_float32, at::kFloat, false, false)->Apply(sizes_of_the_68_m_model);
BENCHMARK_CAPTURE(grouped, forward_bfloat16, at::kBFloat16, false, false)->Apply(sizes_of_the_68_m_model);
BENCHMARK_CAPTURE(grouped, training_float32, at::kFloat, true, false)
    ->Apply(sizes_of_the_68_m_model)
    ->Apply(numbers_of_modules);
BENCHMARK_CAPTURE(grouped, training_bfloat16, at::kBFloat16, true, false)->Apply(sizes_of_the_68_m_model);
BENCHMARK_CAPTURE(grouped, frozen_float32, at::kFloat, true, true)->Apply(sizes_of_the_68_m_model);
BENCHMARK_CAPTURE(grouped, frozen_bfloat16, at::kBFloat16, true, true)->Apply(sizes_of_the_68_m_model);

// Arguments: tokens, in, vocabulary.
void cross_entropy(benchmark::State& state, at::ScalarType dtype) {
  const int64_t tokens = state.range(0), in = state.range(1), vocab = state.range(2);
  const at::Tensor hidden = at::randn({tokens, in}, dtype).requires_grad_(true);
  const at::Tensor head = (0.02 * at::randn({vocab, in})).requires_grad_(true);
  const at::Tensor targets = at::randint(vocab, {tokens}, at::kLong);
  for ([[maybe_unused]] auto _ : state) {
    linear_cross_entropy(hidden, head, targets, targets.numel()).backward();
    hidden.mutable_grad().reset();
    head.mutable_grad().reset();
  }
  report_operations(state, 6.0 * static_cast<double>(tokens * in * vocab));
}
BENCHMARK_CAPTURE(cross_entropy, float32, at::kFloat)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Args({2048, 256, 8192})
    ->Args({512, 1024, 50295});
BENCHMARK_CAPTURE(cross_entropy, bfloat16, at::kBFloat16)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Args({2048, 256, 8192})
    ->Args({512, 1024, 50295});

/// Decoding: a few rows through modules of [1024, 2048] packed once, 32 of them in turn, so that memory is read.
void decoding(benchmark::State& state, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kModules = 32, kIn = 1024, kOut = 2048;
  const int64_t rows = state.range(0);
  std::vector<PackedWeight> weights;
  for (int64_t m = 0; m < kModules; ++m) {
    const at::Tensor weight = at::randn({kIn, kOut});
    if (dtype == at::kChar) {
      const auto [codes, scale] = quantize_int8(weight);
      weights.push_back(pack_int8(codes, scale));
    } else {
      weights.push_back(pack_weight(weight, dtype));
    }
  }
  const at::Tensor x = at::randn({rows, kIn}).to(dtype == at::kFloat ? at::kFloat : at::kBFloat16);
  int64_t next = 0;
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(packed_linear(x, weights[next++ % kModules]));
  report_bytes(state, static_cast<double>(weights[0].bytes()));
}
BENCHMARK_CAPTURE(decoding, float32, at::kFloat)->Unit(benchmark::kMicrosecond)->UseRealTime()->Arg(1)->Arg(4);
BENCHMARK_CAPTURE(decoding, bfloat16, at::kBFloat16)->Unit(benchmark::kMicrosecond)->UseRealTime()->Arg(1)->Arg(4);
BENCHMARK_CAPTURE(decoding, int8, at::kChar)->Unit(benchmark::kMicrosecond)->UseRealTime()->Arg(1)->Arg(4);

// Arguments: tokens, modules.
void router_choice(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const at::Tensor logits = at::randn({state.range(0), state.range(1)});
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(softmax_top_k(logits, 2));
  report_bytes(state, 2.0 * 4 * static_cast<double>(logits.numel()));
}
BENCHMARK(router_choice)->Unit(benchmark::kMicrosecond)->UseRealTime()->Args({2048, 32})->Args({2048, 256});

// Arguments: tokens, width.
void gather_and_combine(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const int64_t tokens = state.range(0), width = state.range(1), k = 2, modules = 32;
  const at::Tensor x = at::randn({tokens, width}), gates = at::rand({tokens, k});
  const auto dispatch = plan_dispatch(at::randint(modules, {tokens, k}, at::kLong), modules);
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(combine(rows_from_tokens(x, dispatch), gates, dispatch));
  }
  // Gather: read x, write k rows a token; combine: read them, write x.
  report_bytes(state, 4.0 * static_cast<double>(tokens * width * (2 + 2 * k)));
}
BENCHMARK(gather_and_combine)->Unit(benchmark::kMicrosecond)->UseRealTime()->Args({2048, 256})->Args({2048, 1024});

}  // namespace
}  // namespace mformer::kernels
