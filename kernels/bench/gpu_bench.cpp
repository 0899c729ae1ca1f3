// Our GPU kernels beside the LibTorch operations that can replace them, each as a share of what the GPU was measured to
// do: float32 and bfloat16 products of large matrices, and copies of a gigabyte. Where no GPU answers it says so.

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>

#include "kernels/device/fused.h"
#include "kernels/device/grouped_linear.h"
#include "kernels/device/kernel_switch.h"
#include "kernels/device/module_dispatch.h"
#include "kernels/device/softmax_top_k.h"
#include "kernels/device/stick_breaking_attention.h"
#include "kernels/stacked_weights.h"

namespace mformer::kernels::device {
namespace {

const at::Device kGpu(at::kCUDA, 0);
constexpr int kRuns = 20;

double seconds(const std::function<void()>& run) {
  const auto wait = [] { c10::impl::VirtualGuardImpl(at::kCUDA).synchronizeDevice(0); };
  for (int i = 0; i < 3; ++i) run();
  wait();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRuns; ++i) run();
  wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / kRuns;
}

at::Tensor random(at::IntArrayRef sizes, at::ScalarType dtype) {
  return at::randn(sizes, at::TensorOptions(at::kFloat).device(kGpu)).to(dtype);
}

struct Peaks {
  double float32 = 0, bfloat16 = 0, bytes = 0;  ///< A second.

  static Peaks measure() {
    constexpr std::int64_t kSide = 8192, kFloats = std::int64_t{1} << 28;
    Peaks peaks;
    const double operations = 2.0 * std::pow(static_cast<double>(kSide), 3);
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const at::Tensor a = random({kSide, kSide}, dtype), b = random({kSide, kSide}, dtype);
      (dtype == at::kFloat ? peaks.float32 : peaks.bfloat16) = operations / seconds([&] { at::mm(a, b); });
    }
    at::Tensor to = at::empty({kFloats}, at::TensorOptions(at::kFloat).device(kGpu)), from = at::ones_like(to);
    peaks.bytes = 2.0 * sizeof(float) * static_cast<double>(kFloats) / seconds([&] { to.copy_(from); });
    return peaks;
  }
};

/// One row of the table; `share` is of the peak that bounds it: work in operations or bytes over it.
void row(const std::string& what, double work, double peak, const std::function<void()>& ours,
         const std::function<void()>& composite) {
  const double mine = seconds(ours), theirs = seconds(composite);
  std::printf("%-64s %10.3f %10.3f %8.2f %9.1f %%\n", what.c_str(), mine * 1e3, theirs * 1e3, theirs / mine,
              100 * work / mine / peak);
}

void attention(const Peaks& peaks, std::int64_t batch, std::int64_t tokens, std::int64_t head_size,
               at::ScalarType dtype, bool lasting) {
  constexpr std::int64_t kChoices = 2, kHeads = 16;
  const at::Tensor q = random({batch, tokens, kChoices, kHeads, head_size}, dtype), grad = at::randn_like(q);
  const at::Tensor k = random({batch, tokens, kHeads, head_size}, dtype), v = at::randn_like(k);
  if (lasting) {
    q.select(-1, 0).fill_(7.0);
    k.select(-1, 0).fill_(-std::sqrt(static_cast<double>(head_size)));
  }
  const auto length = static_cast<double>(tokens);
  const double pairs = static_cast<double>(batch * kChoices * kHeads) * length * (length + 1) / 2;
  const std::string what = std::string(dtype == at::kFloat ? "float32 " : "bfloat16 ") + std::to_string(batch) + " x " +
                           std::to_string(tokens) + ", heads of " + std::to_string(head_size) +
                           (lasting ? ", lasting" : "");
  // The kernels multiply in float32 whatever the storage.
  const double operations = static_cast<double>(head_size) * pairs;
  row(
      "attention forward, " + what, 4 * operations, peaks.float32, [&] { fused::stick_breaking_forward(q, k, v, {}); },
      [&] { composite::stick_breaking_forward(q, k, v, {}); });
  row(
      "attention backward, " + what, 10 * operations, peaks.float32,
      [&] { fused::stick_breaking_backward(grad, q, k, v, {}); },
      [&] { composite::stick_breaking_backward(grad, q, k, v, {}); });
}

void routing(const Peaks& peaks, std::int64_t tokens, std::int64_t width) {
  constexpr std::int64_t kModules = 48, kChoices = 2;
  const auto count = static_cast<double>(tokens);
  const at::Tensor logits = random({tokens, kModules}, at::kFloat);
  row(
      "router, " + std::to_string(tokens) + " tokens, 48 modules", count * (2 * kModules * 4 + kChoices * 12),
      peaks.bytes, [&] { fused::softmax_top_k(logits, kChoices, {}); },
      [&] { composite::softmax_top_k(logits, kChoices, {}); });
  const at::Tensor chosen = std::get<2>(composite::softmax_top_k(logits, kChoices, {}));
  row(
      "dispatch plan", count * kChoices * 24, peaks.bytes, [&] { fused::plan_dispatch(chosen, kModules); },
      [&] { composite::plan_dispatch(chosen, kModules); });
  const ModuleDispatch plan = composite::plan_dispatch(chosen, kModules);
  const at::Tensor x = random({tokens, width}, at::kBFloat16), rows = random({tokens * kChoices, width}, at::kBFloat16);
  const at::Tensor gates = random({tokens, kChoices}, at::kBFloat16);
  const double bytes = 2 * count * static_cast<double>(width);
  row(
      "gather, bfloat16, width " + std::to_string(width), bytes * (1 + kChoices), peaks.bytes,
      [&] { fused::gather_tokens(x, plan.slot_of_row, kChoices); },
      [&] { composite::gather_tokens(x, plan.slot_of_row, kChoices); });
  row(
      "combine, bfloat16", bytes * (1 + kChoices), peaks.bytes,
      [&] { fused::sum_slots(rows, plan.row_of_slot, kChoices, gates); },
      [&] { composite::sum_slots(rows, plan.row_of_slot, kChoices, gates); });
  row(
      "combine backward, bfloat16", bytes * (1 + 2 * kChoices), peaks.bytes,
      [&] { fused::sum_slots_backward(x, rows, plan.row_of_slot, kChoices, gates); },
      [&] { composite::sum_slots_backward(x, rows, plan.row_of_slot, kChoices, gates); });
  std::vector<at::Tensor> weights;
  for (std::int64_t m = 0; m < kModules; ++m) weights.push_back(random({width, 2 * width}, at::kBFloat16));
  weights = side_by_side(weights, at::kBFloat16, kGpu);
  row(
      "grouped product (LibTorch's), a product a module beside it", 4 * bytes * static_cast<double>(kChoices * width),
      peaks.bfloat16, [&] { stacked_product(rows, plan.offset.ends(rows.device()), as_one(weights), false); },
      [&] { products_one_by_one(rows, plan.offset.on_host(), weights, false); });
}

int run() {
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr || !at::globalContext().hasCUDA()) {
    std::puts("No GPU answers: nothing was measured.");
    return 0;
  }
  if (!built_with_cuda()) {
    std::puts("This build has no GPU kernels (MFORMER_CUDA): nothing was measured.");
    return 0;
  }
  const at::NoGradGuard no_grad;
  at::manual_seed(1);
  const Peaks peaks = Peaks::measure();
  std::printf("measured: float32 %.1f TFLOP/s, bfloat16 %.1f TFLOP/s, copies %.0f GB/s\n\n", peaks.float32 / 1e12,
              peaks.bfloat16 / 1e12, peaks.bytes / 1e9);
  std::printf("%-64s %10s %10s %8s %11s\n", "", "ours ms", "LibTorch", "faster", "of the peak");
  for (const at::ScalarType dtype : {at::kBFloat16, at::kFloat}) {
    attention(peaks, 4, 512, 64, dtype, true);
    attention(peaks, 1, 4096, 64, dtype, true);
    attention(peaks, 1, 4096, 64, dtype, false);
    attention(peaks, 1, 2048, 128, dtype, true);
  }
  routing(peaks, 8192, 1024);
  return 0;
}

}  // namespace
}  // namespace mformer::kernels::device

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // rows are there when they are measured, also where the table is cut short
  try {
    return mformer::kernels::device::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
