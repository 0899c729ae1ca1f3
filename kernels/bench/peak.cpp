#include "kernels/bench/peak.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
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

}  // namespace

double float32_peak() {
  static const double peak = measure();
  return peak;
}

}  // namespace mformer::kernels::bench
