#include "core/checkpoint/finite.h"

#include <ATen/ops/aminmax.h>

#include <algorithm>
#include <cmath>

#include "core/checkpoint/hub_model.h"

namespace mformer {
namespace {

/// Least and largest of numbers are finite only where all of them are.
bool is_finite(const at::Tensor& tensor) {
  if (!tensor.is_floating_point() || tensor.numel() == 0) return true;
  const auto [least, most] = at::aminmax(tensor.detach());
  return std::isfinite(least.item<double>()) && std::isfinite(most.item<double>());
}

}  // namespace

std::vector<std::string> tensors_not_finite(const Model& model) {
  std::vector<std::string> names;
  Model handles = model;
  for (const HubTensor& entry : hub_tensors(handles)) {
    const auto sound = [](const at::Tensor* piece) { return is_finite(*piece); };
    if (!std::all_of(entry.pieces.begin(), entry.pieces.end(), sound)) names.push_back(entry.name);
  }
  for (const Domain& domain : model.domains) {
    for (const PrivatePart& part : domain.parts) {
      if (!is_finite(part.value)) names.push_back(domain.name + "/" + part.name);
    }
  }
  return names;
}

}  // namespace mformer
