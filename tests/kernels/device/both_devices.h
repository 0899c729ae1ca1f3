#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/make_believe_device.h"
#include "tests/support/tolerance.h"

namespace mformer::testing {

using Tensors = std::vector<at::Tensor>;

/// The tensors as new leaves on `device`; those that ask for a gradient still do.
inline Tensors leaves_on(const at::Device& device, const Tensors& tensors) {
  Tensors result;
  for (const at::Tensor& x : tensors) {
    result.push_back(x.detach().to(device, x.scalar_type(), false, true).set_requires_grad(x.requires_grad()));
  }
  return result;
}

/// What f makes of the inputs, and the gradients of the inputs for random gradients of the outputs, all on the CPU.
template <typename F>
Tensors results_and_gradients(const at::Device& device, const Tensors& inputs, const F& f) {
  const Tensors in = leaves_on(device, inputs);
  Tensors out = f(in), result;
  at::manual_seed(99);
  at::Tensor sum;
  for (const at::Tensor& y : out) {
    result.push_back(y.detach().cpu());
    if (!y.requires_grad()) continue;
    const at::Tensor part = (y * at::randn(y.sizes(), at::kFloat).to(y.scalar_type()).to(device)).sum();
    sum = sum.defined() ? sum + part : part;
  }
  if (sum.defined()) sum.backward();
  for (const at::Tensor& x : in) {
    if (x.requires_grad()) result.push_back(x.grad().defined() ? x.grad().cpu() : at::Tensor());
  }
  return result;
}

/// The same on the make-believe device as by the CPU's own kernels: results and gradients.
template <typename F>
void expect_same_on_both(const Tensors& inputs, double tolerance, const F& f) {
  const Tensors cpu = results_and_gradients(at::kCPU, inputs, f);
  const Tensors device = results_and_gradients(make_believe_device(), inputs, f);
  ASSERT_EQ(cpu.size(), device.size());
  for (std::size_t i = 0; i < cpu.size(); ++i) {
    if (!cpu[i].defined()) {  // no gradient, or one of zeros
      EXPECT_TRUE(!device[i].defined() || device[i].eq(0).all().item<bool>()) << i;
      continue;
    }
    ASSERT_TRUE(device[i].defined()) << i;
    EXPECT_EQ(cpu[i].scalar_type(), device[i].scalar_type()) << i;
    EXPECT_LE(relative_error(device[i], cpu[i]), tolerance) << "result or gradient " << i;
  }
}

/// A random tensor that asks for a gradient.
inline at::Tensor random_leaf(at::IntArrayRef sizes, at::ScalarType dtype = at::kFloat) {
  return at::randn(sizes, at::kDouble).to(dtype).set_requires_grad(true);
}

}  // namespace mformer::testing
