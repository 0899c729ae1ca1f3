#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/tolerance.h"

namespace mformer::testing {

/// Checks the gradients that `function` (float64 tensors → one tensor) has in each input against central differences of
/// a random projection of its output. The inputs must require gradients; they are changed and put back.
inline void expect_gradients_match_finite_differences(const std::function<at::Tensor()>& function,
                                                      const std::vector<at::Tensor>& inputs) {
  constexpr double kStep = 1e-6;
  const at::Tensor output = function();
  const at::Tensor projection = at::randn_like(output.detach());
  (output * projection).sum().backward();
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    at::Tensor flat = inputs[i].data().view({-1});
    at::Tensor expected = at::empty_like(flat);
    for (std::int64_t e = 0; e < flat.numel(); ++e) {
      const double value = flat[e].item<double>();
      flat[e] = value + kStep;
      const double above = (function() * projection).sum().item<double>();
      flat[e] = value - kStep;
      const double below = (function() * projection).sum().item<double>();
      flat[e] = value;
      expected[e] = (above - below) / (2 * kStep);
    }
    ASSERT_TRUE(inputs[i].grad().defined()) << "input " << i;
    EXPECT_LE(relative_error(inputs[i].grad().flatten(), expected), kFiniteDifference) << "input " << i;
  }
}

}  // namespace mformer::testing
