#include "core/model/activation.h"

#include "modules_registry/error.h"

namespace mformer {

kernels::Activation activation_of(const std::string& name) {
  if (name == "gelu_new") return kernels::Activation::gelu_tanh;
  if (name == "gelu") return kernels::Activation::gelu;
  if (name == "relu") return kernels::Activation::relu;
  if (name == "silu") return kernels::Activation::silu;
  if (name == "tanh") return kernels::Activation::tanh;
  throw Error("unknown activation_function '" + name + "'", "known: gelu_new, gelu, relu, silu, tanh");
}

}  // namespace mformer
