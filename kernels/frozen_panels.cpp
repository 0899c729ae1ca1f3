#include "kernels/frozen_panels.h"

#include <ATen/ops/empty.h>

#include "kernels/cpu/matrix_products.h"
#include "kernels/stacked_weights.h"

namespace mformer::kernels {

const at::Tensor& FrozenPanels::of(const at::Tensor& weight, bool transposed, at::ScalarType dtype) {
  Entry& entry = entries_[{weight.unsafeGetTensorImpl(), transposed, dtype}];
  const auto version = static_cast<std::uint32_t>(weight._version());
  if (entry.panels.defined() && entry.version == version) return entry.panels;
  const std::int64_t inner = weight.size(transposed ? 1 : 0), columns = weight.size(transposed ? 0 : 1);
  entry = {weight, version, at::empty({cpu::panels_bytes(inner, columns, dtype)}, at::kByte)};
  using Order = cpu::RightMatrix::Order;
  cpu::write_panels(
      {weight.const_data_ptr(), weight.scalar_type(), inner, columns, transposed ? Order::transposed : Order::rows},
      dtype, entry.panels.mutable_data_ptr());
  return entry.panels;
}

bool FrozenPanels::Stack::is_of(at::TensorList others) const {
  bool same = weights.size() == others.size();
  for (std::size_t m = 0; same && m < weights.size(); ++m) {
    same = weights[m].is_same(others[m]) && versions[m] == others[m]._version();
  }
  return same;
}

at::Tensor FrozenPanels::stacked(at::TensorList weights, at::ScalarType dtype) {
  const at::Tensor in_place = as_one(weights);
  if (in_place.defined() && in_place.scalar_type() == dtype) return in_place;
  Stack& stack = stacks_[{weights[0].unsafeGetTensorImpl(), dtype}];
  if (stack.is_of(weights)) return stack.all;
  stack = {weights.vec(), {}, as_one(side_by_side(weights, dtype, weights[0].device()))};
  for (const at::Tensor& weight : weights) stack.versions.push_back(static_cast<std::uint32_t>(weight._version()));
  return stack.all;
}

std::int64_t FrozenPanels::bytes() const {
  std::int64_t sum = 0;
  for (const auto& [key, entry] : entries_) sum += static_cast<std::int64_t>(entry.panels.nbytes());
  for (const auto& [key, stack] : stacks_) sum += static_cast<std::int64_t>(stack.all.nbytes());
  return sum;
}

}  // namespace mformer::kernels
