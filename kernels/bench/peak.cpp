#include "kernels/bench/peak.h"

#include <ATen/Parallel.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <vector>

#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/tasks.h"

namespace mformer::kernels::bench {
namespace {

constexpr int64_t kRows = 192, kInner = 128, kColumns = cpu::kPanelColumns;
constexpr int64_t kRepeats = 4000, kTrials = 5;

void multiply_repeatedly(int64_t /*task*/) {
  float* a = cpu::scratch<float, 0>(kRows * kInner + cpu::panel_size<float>(kInner) + kRows * kColumns);
  float *b = a + kRows * kInner, *c = b + cpu::panel_size<float>(kInner);
  std::fill(a, c, 0.5F);
  for (int64_t i = 0; i < kRepeats; ++i) {
    cpu::panel_kernels().float32(kRows, kInner, kColumns, {a, kInner, 1}, b, kColumns, {c, kColumns});
  }
}

double measure() {
  const int64_t threads = at::get_num_threads();
  const double operations = 2.0 * kRows * kInner * kColumns * kRepeats * static_cast<double>(threads);
  double best = 0;
  for (int64_t trial = 0; trial < kTrials; ++trial) {
    const auto start = std::chrono::steady_clock::now();
    cpu::for_each_task(threads, static_cast<int64_t>(operations), multiply_repeatedly);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, operations / seconds.count());
  }
  return best;
}

/// Sum of `count` floats, a multiple of 64, in as many chains as hide the latency of additions.
float sum(const float* x, int64_t count) {
  float lane[64] = {};
  for (int64_t i = 0; i < count; i += 64) {
    for (int64_t l = 0; l < 64; ++l) lane[l] += x[i + l];
  }
  return std::accumulate(lane, lane + 64, 0.0F);
}

double measure_reads() {
  constexpr int64_t kFloats = int64_t{1} << 28, kFloatsPerTask = int64_t{1} << 20;
  const std::vector<float> memory(kFloats, 1.0F);
  std::atomic<float> sink = 0;  // keeps the loads from being optimised away
  double best = 0;
  for (int64_t trial = 0; trial < kTrials; ++trial) {
    const auto start = std::chrono::steady_clock::now();
    cpu::for_each_task(kFloats / kFloatsPerTask, kFloats,
                       [&](int64_t i) { sink = sum(memory.data() + i * kFloatsPerTask, kFloatsPerTask); });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(kFloats) * sizeof(float) / seconds.count());
  }
  return best;
}

/// Results are freed and made again at each repeat; the program keeps freed memory (core/training/retain_memory.h),
/// and without that page faults would be measured.
[[maybe_unused]] const bool kMemoryIsRetained = mallopt(M_MMAP_MAX, 0) != 0 && mallopt(M_TRIM_THRESHOLD, -1) != 0;

}  // namespace

double read_bandwidth() {
  static const double bandwidth = measure_reads();
  return bandwidth;
}

double float32_peak() {
  static const double peak = measure();
  return peak;
}

}  // namespace mformer::kernels::bench
