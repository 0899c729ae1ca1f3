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
  const ByParameter parameter = parameters_of(model);
  for (const StoredTensor& stored : family_of(model.config.family, "the model's config").tensors(model.config)) {
    const auto sound = [&](const Piece& piece) { return is_finite(parameter(piece.parameter)); };
    if (!std::all_of(stored.pieces.begin(), stored.pieces.end(), sound)) names.push_back(stored.name);
  }
  for (const Domain& domain : model.domains) {
    for (const PrivatePart& part : domain.parts) {
      if (!is_finite(part.value)) names.push_back(domain.name + "/" + part.name);
    }
  }
  return names;
}

}  // namespace mformer
