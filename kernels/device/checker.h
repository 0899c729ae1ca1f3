#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "kernels/device/kernel_check.h"

namespace mformer::kernels::device {

/// Tolerances: rounding of sums; of the result; of factors too, where they are few.
inline constexpr double kFloat32 = 1e-5, kBFloat16 = 3e-3, kBFloat16Factors = 6e-3;

using Results = std::vector<at::Tensor>;
using Compute = std::function<Results()>;

/// Runs kernels on a device and keeps what became of them.
class Checker {
 public:
  Checker(const c10::Device& device, Extent extent);

  /// Compares ours() with `right` (on the CPU) and, in full checks, times it beside composite().
  void check(Kernel kernel, const std::string& input, double tolerance, const Results& right, const Compute& ours,
             const Compute& composite);

  at::Tensor random(at::IntArrayRef sizes);
  at::Tensor there(const at::Tensor& x) const { return x.defined() ? x.to(device_) : x; }

  Extent extent() const { return extent_; }
  const c10::Device& device() const { return device_; }
  at::Generator& generator() { return generator_; }
  std::vector<KernelCheck> take() { return std::move(checks_); }

 private:
  void synchronize() const;
  double milliseconds(const Compute& compute) const;

  c10::Device device_;
  Extent extent_;
  at::Generator generator_;
  std::vector<KernelCheck> checks_;
};

/// RMSNorm, rotary positions and gated activations of `count` rows, compared with the composites in float64.
void check_rows(Checker& checker, std::int64_t count, std::int64_t width);

/// A step of AdamW on tensors of 1, 7 and `count` weights, the second without a gradient, compared with the CPU's.
void check_adamw(Checker& checker, std::int64_t count);

}  // namespace mformer::kernels::device
