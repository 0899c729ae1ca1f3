#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace mformer::kernels {

/// How the backward pass makes a factor of a product again, from tensors that it keeps anyway, so that the factor
/// itself is not kept. Empty: the factor is kept.
struct Recomputed {
  std::vector<at::Tensor> from;
  /// The factor, bit for bit, from those of `from`; called without gradients.
  std::function<at::Tensor(const std::vector<at::Tensor>&)> make;
};

}  // namespace mformer::kernels
