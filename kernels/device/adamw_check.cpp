#include "kernels/device/adamw.h"
#include "kernels/device/checker.h"
#include "kernels/device/fused.h"

namespace mformer::kernels::device {
namespace {

std::vector<AdamWTensor> copies(const std::vector<AdamWTensor>& tensors, const c10::Device& device) {
  const auto copy = [&](const at::Tensor& x) { return x.defined() ? x.to(device, x.scalar_type(), false, true) : x; };
  std::vector<AdamWTensor> result;
  for (const AdamWTensor& x : tensors) {
    result.push_back({copy(x.weight), copy(x.gradient), copy(x.exp_avg), copy(x.exp_avg_sq), x.decay});
  }
  return result;
}

Results state_of(const std::vector<AdamWTensor>& tensors) {
  Results results;
  for (const AdamWTensor& x : tensors) results.insert(results.end(), {x.weight, x.exp_avg, x.exp_avg_sq});
  return results;
}

}  // namespace

void check_adamw(Checker& checker, std::int64_t count) {
  const AdamWStep step{3, 0.01, 0.8, 0.9, 1e-6, 0.3, 0.25};
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    std::vector<AdamWTensor> tensors;
    for (const std::int64_t size : {std::int64_t{1}, std::int64_t{7}, count}) {
      tensors.push_back({checker.random({size}).to(dtype), checker.random({size}).to(dtype), checker.random({size}),
                         checker.random({size}).abs(), size != 7});
    }
    tensors[1].gradient.reset();
    std::vector<AdamWTensor> right = copies(tensors, at::kCPU);
    kernels::adamw_step(right, step);
    const std::vector<AdamWTensor> there = copies(tensors, checker.device());
    const auto run = [&](const auto& update) {
      // What is timed makes no copies: it goes on from where the run before came to.
      const std::vector<AdamWTensor> state = checker.extent() == Extent::full ? there : copies(there, checker.device());
      update(state, step);
      return state_of(state);
    };
    const std::string input = std::to_string(count) + " weights, " + (dtype == at::kFloat ? "float32" : "bfloat16");
    checker.check(
        Kernel::adamw, input, dtype == at::kFloat ? kFloat32 : kBFloat16, state_of(right),
        [&] { return run(fused::adamw_step); }, [&] { return run(composite::adamw_step); });
  }
}

}  // namespace mformer::kernels::device
