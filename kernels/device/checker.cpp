#include "kernels/device/checker.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>

namespace mformer::kernels::device {
namespace {

double relative_error(const at::Tensor& ours, const at::Tensor& right) {
  const at::Tensor a = ours.cpu().to(at::kDouble), b = right.to(at::kDouble);
  const double norm = b.norm().item<double>(), distance = (a - b).norm().item<double>();
  const double error = norm > 0 ? distance / norm : distance;
  return std::isfinite(error) ? error : INFINITY;
}

}  // namespace

Checker::Checker(const c10::Device& device, Extent extent)
    : device_(device), extent_(extent), generator_(at::detail::createCPUGenerator(1)) {}

at::Tensor Checker::random(at::IntArrayRef sizes) {
  return at::randn(sizes, generator_, at::TensorOptions(at::kFloat));
}

void Checker::synchronize() const {
  if (device_.is_cuda()) c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(device_.index());
}

double Checker::milliseconds(const Compute& compute) const {
  constexpr int kRuns = 5;
  compute();
  synchronize();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRuns; ++i) compute();
  synchronize();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / kRuns;
}

void Checker::check(Kernel kernel, const std::string& input, double tolerance, const Results& right,
                    const Compute& ours, const Compute& composite) {
  KernelCheck result{kernel, input};
  result.tolerance = tolerance;
  try {
    const Results results = ours();
    result.error = 0;
    for (std::size_t i = 0; i < right.size(); ++i) {
      result.error = std::max(result.error, relative_error(results[i], right[i]));
    }
    if (extent_ == Extent::full) {
      result.kernel_ms = milliseconds(ours);
      result.composite_ms = milliseconds(composite);
    }
  } catch (const c10::Error& error) {
    result.refusal = error.what_without_backtrace();
  }
  checks_.push_back(result);
}

}  // namespace mformer::kernels::device
