#include "core/checkpoint/finite.h"

#include <ATen/ops/aminmax.h>

#include <algorithm>
#include <cmath>

#include "core/families/family.h"

namespace mformer {

// Least and largest of numbers are finite only where all of them are.
bool is_finite(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_floating_point() || tensor.numel() == 0) return true;
  const auto [least, most] = at::aminmax(tensor.detach());
  return std::isfinite(least.item<double>()) && std::isfinite(most.item<double>());
}

std::vector<std::string> tensors_with(const Model& outline, const std::set<std::string>& parameters) {
  std::vector<std::string> names;
  for (const StoredTensor& stored : family_of(outline.config).tensors(outline.config)) {
    const auto is_one = [&](const Piece& piece) { return parameters.contains(piece.parameter); };
    if (std::any_of(stored.pieces.begin(), stored.pieces.end(), is_one)) names.push_back(stored.name);
  }
  for (const Domain& domain : outline.domains) {
    for (const PrivatePart& part : domain.parts) {
      if (!is_finite(part.value)) names.push_back(domain.name + "/" + part.name);
    }
  }
  return names;
}

}  // namespace mformer
