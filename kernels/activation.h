#pragma once

namespace mformer::kernels {

/// What comes between the two maps of a feed-forward module.
enum class Activation {
  gelu_tanh,  ///< x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2
  gelu,       ///< x · (1 + erf(x / √2)) / 2, erf to 1.5e-7
  relu,
  silu,  ///< x · sigmoid(x)
  tanh,
};

}  // namespace mformer::kernels
