#include "core/model/activation.h"

namespace mformer {

kernels::Activation activation_of(ActivationFunction function) {
  switch (function) {
    case ActivationFunction::gelu_new:
      return kernels::Activation::gelu_tanh;
    case ActivationFunction::gelu:
      return kernels::Activation::gelu;
    case ActivationFunction::relu:
      return kernels::Activation::relu;
    case ActivationFunction::silu:
      return kernels::Activation::silu;
    default:
      return kernels::Activation::tanh;
  }
}

}  // namespace mformer
