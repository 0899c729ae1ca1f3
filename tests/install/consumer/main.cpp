// What a project of somebody else's does with the installed libraries: the registry, and a computation.

#include <ATen/core/Tensor.h>
#include <ATen/ops/ones.h>

#include <iostream>

#include "kernels/rms_norm.h"
#include "modules_registry/registry.h"

int main(int, char** argv) {
  const mformer::Registry registry = mformer::Registry::create(argv[1]);
  std::cout << registry.models().size() << " models in a new workspace\n";
  const at::Tensor y = mformer::kernels::rms_norm(at::ones({1, 2}), at::ones({2}), 0);
  std::cout << "rms_norm: " << y[0][0].item<float>() << ' ' << y[0][1].item<float>() << '\n';
}
